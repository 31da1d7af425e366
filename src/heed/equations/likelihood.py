"""What follows from the log-probability of a text: that of not writing it, and the odds.

Sources: Maechler 2012 ("Accurately computing log(1 - exp(-|a|))"), Welleck et al. 2020 (unlikelihood), Hong et al. 2024
(odds of a completion).
"""

import math

import torch
from torch import Tensor

from heed.equations.precision import wide

NEAREST_TO_CERTAIN = -1e-6  # log p above this is taken for it: at p = 1 the odds are infinite and so is every gradient


def log_not(logprobs: Tensor) -> Tensor:
    """log(1 - p) from log p, exact at both ends (Maechler 2012)."""
    logprobs = wide(logprobs).clamp(max=NEAREST_TO_CERTAIN)
    # Each branch is given only what it is good for: the gradient of the other one would be NaN times 0.
    likely = logprobs > -math.log(2)
    near = torch.log(-torch.expm1(torch.where(likely, logprobs, -math.log(2))))
    far = torch.log1p(-torch.exp(torch.where(likely, -math.log(2), logprobs)))
    return torch.where(likely, near, far)


def log_odds(logprobs: Tensor) -> Tensor:
    """log(p / (1 - p)) from log p (Hong et al. 2024, equation 4)."""
    return wide(logprobs) - log_not(logprobs)


def sequence_logprobs(logprobs: Tensor, mask: Tensor) -> Tensor:
    """log p of each whole completion, [N, T] -> [N]: the sum over the tokens that count."""
    return torch.where(mask > 0, wide(logprobs), 0.0).sum(1)


def mean_logprobs(logprobs: Tensor, mask: Tensor) -> Tensor:
    """log p of each completion a token, [N, T] -> [N] (Hong et al. 2024, equation 3; Meng et al. 2024, equation 3)."""
    return sequence_logprobs(logprobs, mask) / (mask > 0).sum(1).clamp(min=1)
