"""What does an absolute score, such as four stars of five, say about a hidden quality?

Sources: Wang et al. 2024 (HelpSteer2: reward models by regression), McCullagh 1980 (proportional odds).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from heed.equations.precision import wide


def regression(predicted: Tensor, given: Tensor) -> Tensor:
    """(predicted - given)^2 of each rating: takes the distance from 1 to 2 stars to be that from 4 to 5."""
    return (wide(predicted) - wide(given)) ** 2


def ordinal(score: Tensor, level: Tensor, cuts: Tensor) -> Tensor:
    """-log likelihood of each rating, in nats, under the cumulative link model: only the order of the levels counts.

        P(level <= k) = sigmoid(cuts_k - score),  k = 0 .. L - 2        McCullagh 1980, proportional odds

    score [N]; level [N], whole numbers from 0 to L - 1; cuts [L - 1], ascending (see `cutpoints`).  With two levels and
    a cut at 0 this is logistic regression.
    """
    score, cuts = wide(score), wide(cuts)
    top = cuts.numel()
    above, below = cuts[level.clamp(max=top - 1)], cuts[(level - 1).clamp(min=0)]
    upper, lower = above - score, below - score
    # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)): a product: nothing cancels far from the cuts.
    inner = (level > 0) & (level < top)
    gap = torch.where(inner, above - below, 1.0).clamp(min=1e-6)  # cuts that met leave their level unlikely, not impossible
    log_p = torch.where(level < top, F.logsigmoid(upper), 0.0)
    log_p = log_p + torch.where(level > 0, F.logsigmoid(-lower), 0.0)
    return -(log_p + torch.where(inner, torch.log(-torch.expm1(-gap)), 0.0))


def cutpoints(raw: Tensor) -> Tensor:
    """Ascending cuts from free numbers, [L - 1]: the first as it is, each next one softplus(raw) above the last."""
    raw = wide(raw)
    return torch.cat([raw[:1], F.softplus(raw[1:])]).cumsum(0)
