"""RAFT: sample several, keep the best, imitate it, again (Dong et al. 2023, algorithm 1).

Over fixed rankings this is supervised learning on the answers people liked most (FeedME, Ouyang et al. 2022, appendix B;
"preferred-FT", Rafailov et al. 2023); over the policy's own samples it is best-of-n fine-tuning, or expert iteration
(Anthony et al. 2017).
"""

from dataclasses import dataclass

import torch

from heed.algorithms.sft import SFT
from heed.equations.loss import Loss
from heed.experience import Experience, Ranked
from heed.training.learner import Learner
from heed.training.passes import passes


@dataclass(frozen=True)
class RAFT:
    """Names as in GRPO; the paper keeps 1 of 8 to 32."""

    num_generations: int = 8  # completions of one prompt, side by side in the batch
    num_iterations: int = 1  # passes over the ones that were kept

    def examples(self, ranked: Ranked):
        """Of fixed rankings, the candidate that came first; the first of them where several did."""
        sizes = (ranked.ranks > 0).sum(1)
        return ranked.candidates.select(sizes.cumsum(0) - sizes + (ranked.ranks == 1).float().argmax(1))

    def credit(self, e: Experience) -> Experience:
        """Of the policy's own completions, the best of each prompt; the first where several are."""
        best = (e.rewards * e.mask).sum(1).view(-1, self.num_generations).argmax(1)
        return e.select(torch.arange(len(best)) * self.num_generations + best)

    def loss(self, policy, batch) -> Loss:
        """-log p of every token that counts."""
        return SFT().loss(policy, batch)

    def update(self, learner: Learner, e: Experience, *, lr: float) -> dict[str, float]:
        """A step a pass over the ones that were kept."""
        return passes(learner, e, self.loss, lr=lr, epochs=self.num_iterations, inputs=True)
