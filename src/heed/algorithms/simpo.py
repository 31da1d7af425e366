"""SimPO: DPO without a reference, on log-probabilities a token, with a margin (Meng et al. 2024, equation 6)."""

from dataclasses import dataclass

from heed.algorithms.dpo import compared
from heed.equations.likelihood import mean_logprobs, sequence_logprobs
from heed.equations.loss import Loss
from heed.equations.preference import kwise
from heed.experience import Ranked


@dataclass(frozen=True)
class SimPO:
    """Values from the paper's range (beta 2 to 10, gamma 0.3 to 1.6)."""

    beta: float = 2.0  # scale of the log-probability a token
    gamma: float = 1.0  # how far ahead the preferred one must be

    def loss(self, policy, batch: Ranked) -> Loss:
        """As for DPO, but `batch.ref_logprobs` is not read."""
        now, mask = policy(batch.candidates).logprobs, batch.candidates.mask
        scores = batch.by_group(self.beta * mean_logprobs(now, mask))
        margin = scores.new_full((len(batch),), self.gamma)
        return compared(kwise(scores, batch.ranks, margin=margin).loss, scores, sequence_logprobs(now, mask), batch)
