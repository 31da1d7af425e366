"""Online DPO: DPO on pairs that the policy itself has just written, ranked by the reward (Guo et al. 2024, algorithm 1)."""

from dataclasses import dataclass

from heed.algorithms.dpo import DPO
from heed.experience import Experience, Ranked
from heed.training.learner import Learner, Part


@dataclass(frozen=True)
class OnlineDPO:
    """The paper asks about 2 completions; with more, all their pairs count."""

    num_generations: int = 2  # completions of one prompt, side by side in the batch
    beta: float = 0.1  # how strongly to stay near the reference

    def credit(self, e: Experience) -> Ranked:
        """The completions of a prompt as one ranking by reward: 1 is the best, equal rewards are a tie."""
        scores = (e.rewards * e.mask).sum(1).view(-1, self.num_generations)
        ranks = (scores[:, :, None] < scores[:, None, :]).sum(2) + 1
        return Ranked(e.inputs, ranks, ref_logprobs=(e.ref_logprobs * e.mask).sum(1))

    def update(self, learner: Learner, batch: Ranked, *, lr: float) -> dict[str, float]:
        """One step of DPO."""
        return learner.step(Part(batch, DPO(self.beta).loss), lr=lr)
