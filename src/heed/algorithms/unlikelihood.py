"""Unlikelihood: say the best answer, do not say the worst (Welleck et al. 2020; a baseline of Rafailov et al. 2023)."""

from dataclasses import dataclass

from heed.algorithms.dpo import compared
from heed.equations.likelihood import log_not, mean_logprobs, sequence_logprobs
from heed.equations.loss import Loss
from heed.experience import Ranked


@dataclass(frozen=True)
class Unlikelihood:
    """The paper's alpha for whole sequences; Rafailov et al. tune it."""

    alpha: float = 1.0  # weight of not saying the worst

    def loss(self, policy, batch: Ranked) -> Loss:
        """As for DPO, but `batch.ref_logprobs` is not read.  Means over the tokens of each answer, then over rankings."""
        now, mask = policy(batch.candidates).logprobs, batch.candidates.mask
        said, not_said = (batch.by_group(mean_logprobs(x, mask)) for x in (now, log_not(now)))
        best, worst = batch.ranks == 1, batch.ranks == batch.ranks.amax(1, keepdim=True)
        loss = -(said * best).sum(1) / best.sum(1) - self.alpha * (not_said * worst).sum(1) / worst.sum(1)
        return compared(loss, batch.by_group(mean_logprobs(now, mask)), sequence_logprobs(now, mask), batch)
