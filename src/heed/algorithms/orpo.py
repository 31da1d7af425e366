"""ORPO: imitate the best answer, and raise its odds over the others', without a reference (Hong et al. 2024, equation 6)."""

from dataclasses import dataclass

from torch.nn.functional import logsigmoid

from heed.algorithms.dpo import compared
from heed.equations.likelihood import log_odds, mean_logprobs, sequence_logprobs
from heed.equations.loss import Loss
from heed.equations.preference import all_pairs
from heed.experience import Ranked


@dataclass(frozen=True)
class ORPO:
    """The paper's value for its larger models."""

    lam: float = 0.1  # lambda: weight of the odds beside the imitation

    def loss(self, policy, batch: Ranked) -> Loss:
        """As for DPO, but `batch.ref_logprobs` is not read.  Every ranking weighs the same, however long its answers."""
        now, mask = policy(batch.candidates).logprobs, batch.candidates.mask
        a_token = mean_logprobs(now, mask)
        odds = batch.by_group(log_odds(a_token))
        best = batch.ranks == 1
        imitation = -(batch.by_group(a_token) * best).sum(1) / best.sum(1)
        ratio = all_pairs(lambda d: -logsigmoid(d), odds, batch.ranks).loss
        return compared(imitation + self.lam * ratio, odds, sequence_logprobs(now, mask), batch)
