"""f-DPO: DPO under another price than the reverse KL (Wang et al. 2024, "Beyond reverse KL").

The best policy where a divergence D_f costs beta earns r = beta f'(pi / pi_ref) + a constant of the prompt; for DPO f' is log.
"""

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from heed.algorithms.dpo import compared, implicit_rewards
from heed.equations.loss import Loss
from heed.equations.preference import kwise
from heed.experience import Ranked

LARGEST = 20.0  # exp of more drowns every other answer


@dataclass(frozen=True)
class FDPO:
    """Names as in TRL."""

    beta: float = 0.1  # price of a unit of divergence
    divergence: Literal["forward_kl", "js", "reverse_kl"] = "forward_kl"  # KL(pi_ref || pi), Jensen-Shannon, or DPO's

    def loss(self, policy, batch: Ranked) -> Loss:
        """As for DPO."""
        ratios, logprobs = implicit_rewards(policy, batch, 1.0)
        scores = self.beta * self.slope(ratios)
        return compared(kwise(scores, batch.ranks).loss, scores, logprobs, batch)

    def slope(self, log_ratio: Tensor) -> Tensor:
        """f'(t) at t = exp(log_ratio), up to a constant: log t; -1 / t + 1; log 2t / (t + 1)."""
        if self.divergence == "forward_kl":
            return 1 - (-log_ratio).clamp(max=LARGEST).exp()
        return math.log(2) + logsigmoid(log_ratio) if self.divergence == "js" else log_ratio
