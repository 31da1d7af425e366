"""SLiC-HF: the better answer at least a margin more likely, and a hand on the best one (Zhao et al. 2023, section 2)."""

from dataclasses import dataclass

from heed.algorithms.dpo import compared
from heed.equations.likelihood import sequence_logprobs
from heed.equations.loss import Loss
from heed.equations.preference import all_pairs
from heed.experience import Ranked


@dataclass(frozen=True)
class SLiC:
    """The paper's margin; its weight of the cross-entropy, which it gives no value, as in SLiC (Zhao et al. 2022)."""

    delta: float = 1.0  # how much more likely the better one must be, in nats
    lam: float = 0.5  # lambda: weight of the cross-entropy of the best answer

    def loss(self, policy, batch: Ranked) -> Loss:
        """As for DPO, but `batch.ref_logprobs` is not read."""
        logprobs = sequence_logprobs(policy(batch.candidates).logprobs, batch.candidates.mask)
        scores, best = batch.by_group(logprobs), batch.ranks == 1
        calibration = all_pairs(lambda d: (self.delta - d).relu(), scores, batch.ranks).loss
        imitation = -(scores * best).sum(1) / best.sum(1)
        return compared(calibration + self.lam * imitation, scores, logprobs, batch)
