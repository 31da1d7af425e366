"""IPO: bring the policy's preference to a chosen strength and no further (Azar et al. 2024, equation 17).

Where DPO would drive an answer that never lost to infinity, the squared error stops at 1 / (2 beta): preferences that are
certain do not switch the reference off.
"""

from dataclasses import dataclass

from heed.algorithms.dpo import compared
from heed.equations.likelihood import sequence_logprobs
from heed.equations.loss import Loss
from heed.equations.preference import all_pairs
from heed.experience import Ranked


@dataclass(frozen=True)
class IPO:
    """Names as in TRL; the paper's tau is beta."""

    beta: float = 0.1  # how strongly to stay near the reference
    per_token: bool = True  # log-ratios a token, as in TRL and, it says, in the authors' code; false sums them, as equation 17

    def loss(self, policy, batch: Ranked) -> Loss:
        """As for DPO."""
        now, mask = policy(batch.candidates).logprobs, batch.candidates.mask
        logprobs = sequence_logprobs(now, mask)
        ratios = logprobs - batch.ref_logprobs
        if self.per_token:
            ratios = ratios / (mask > 0).sum(1).clamp(min=1)
        scores = batch.by_group(ratios)
        wanted = 1 / (2 * self.beta)
        return compared(all_pairs(lambda d: (d - wanted) ** 2, scores, batch.ranks).loss, scores, logprobs, batch)
