"""DPO: the policy is its own reward model (Rafailov et al. 2023, equation 7; K answers in one ranking: equation 20).

`reward_model.py` with another score: what a reward model reads off a candidate is here beta log pi(y|x) / pi_ref(y|x), the
reward under which this policy would be the best there is.  `label_smoothing` is conservative DPO (Mitchell 2023).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from heed.equations.likelihood import sequence_logprobs
from heed.equations.loss import Loss
from heed.equations.preference import kwise, plackett_luce
from heed.experience import Ranked


@dataclass(frozen=True)
class DPO:
    """Names as in the paper and in TRL."""

    beta: float = 0.1  # how strongly to stay near the reference
    label_smoothing: float = 0.0  # the share of answers taken to be flipped
    ranking: Literal["pairs", "plackett_luce"] = "pairs"  # K answers: all their pairs, or choice after choice

    def loss(self, policy, batch: Ranked) -> Loss:
        """`policy(batch.candidates).logprobs` is [N, tokens]; `batch.ref_logprobs` is [N], of whole candidates."""
        scores, logprobs = implicit_rewards(policy, batch, self.beta)
        if self.ranking == "plackett_luce":
            return compared(plackett_luce(scores, batch.ranks), scores, logprobs, batch)
        return compared(kwise(scores, batch.ranks, label_smoothing=self.label_smoothing).loss, scores, logprobs, batch)


def implicit_rewards(policy, batch: Ranked, beta: float) -> tuple[Tensor, Tensor]:
    """beta log pi(y|x) / pi_ref(y|x) of each candidate [G, K], and log pi(y|x) [N]."""
    logprobs = sequence_logprobs(policy(batch.candidates).logprobs, batch.candidates.mask)
    return batch.by_group(beta * (logprobs - batch.ref_logprobs)), logprobs


def compared(loss: Tensor, scores: Tensor, logprobs: Tensor, batch: Ranked) -> Loss:
    """One loss a ranking [G], with what every direct method watches: the scores [G, K] and log-probabilities [N] of the best
    and of the worst.  Both log-probabilities may fall while their difference grows."""
    best, worst = _ends(scores.detach(), batch)
    likely, unlikely = _ends(batch.by_group(logprobs.detach()), batch)
    pairs = kwise(scores.detach(), batch.ranks)
    count = torch.tensor(float(len(batch)))
    figures = {"rewards/chosen": best, "rewards/rejected": worst, "rewards/margins": best - worst, "logps/chosen": likely,
               "logps/rejected": unlikely}
    return Loss(loss.sum(), count, {"rewards/accuracies": (pairs.correct.sum(), pairs.pairs.sum()),
                                    **{name: (value.sum(), count) for name, value in figures.items()}})


def _ends(values: Tensor, batch: Ranked) -> tuple[Tensor, Tensor]:
    """Mean of those ranked first, and of those ranked last, [G] each."""
    first, last = batch.ranks == 1, batch.ranks == batch.ranks.amax(1, keepdim=True)
    return tuple((values * chosen).sum(1) / chosen.sum(1) for chosen in (first, last))
