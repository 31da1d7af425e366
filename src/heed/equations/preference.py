"""How likely is it that a person prefers one thing to another?

One model serves every place heed learns from comparisons.  What differs is only where the score comes from: the scalar
a reward model gives a completion, the summed rewards of a segment of behaviour, or the log-ratio that DPO reads off the
policy itself.

Sources: Thurstone 1927 and Bradley & Terry 1952 for two, Plackett 1975 and Luce 1959 for many; Christiano et al. 2017
(label noise), Ziegler et al. 2019 (one of k), Ouyang et al. 2022 (all pairs of k), Touvron et al. 2023 (margin),
Mitchell 2023 (label smoothing), Eisenstein et al. 2023 (centring).
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from heed.equations.precision import wide


def bradley_terry(
    score_a: Tensor,
    score_b: Tensor,
    prefer_a: Tensor | float = 1.0,
    *,
    noise: float = 0.0,
    margin: Tensor | float = 0.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log likelihood of each answer, in nats, of the shape of the scores.

    P(a > b) = sigmoid(score_a - score_b), Bradley & Terry 1952.  `prefer_a` is 1 where a was preferred, 0 where b was,
    0.5 for a tie, and anything between for a soft label.

    noise            how often a person answers at random: P becomes (1 - noise) P + noise / 2 (Christiano et al. 2017,
                     section 2.2.3, which uses 0.1).  The loss is then bounded by -log(noise / 2).
    margin           what the preferred one must be ahead by before the loss is small (Touvron et al. 2023, equation 2).
                     Give ties a margin of 0: a margin asks both sides of a tie to win.
    label_smoothing  the share of labels taken to be flipped: the target is moved from 1 to 1 - label_smoothing
                     (Mitchell 2023, conservative DPO).
    """
    if not 0 <= noise < 1 or not 0 <= label_smoothing <= 0.5:
        raise ValueError(f"noise must be in [0, 1) and label_smoothing in [0, 0.5], not {noise} and {label_smoothing}")
    difference = wide(score_a) - wide(score_b)
    log_a, log_b = F.logsigmoid(difference - margin), F.logsigmoid(-difference - margin)
    if noise:
        log_a, log_b = _sometimes_random(log_a, noise), _sometimes_random(log_b, noise)
    target = prefer_a * (1 - 2 * label_smoothing) + label_smoothing
    return -(target * log_a + (1 - target) * log_b)


def _sometimes_random(log_p: Tensor, noise: float) -> Tensor:
    """log((1 - noise) P + noise / 2) without leaving log space, where P may underflow."""
    return torch.logaddexp(log_p + math.log1p(-noise), log_p.new_tensor(math.log(noise / 2)))


class Kwise(NamedTuple):
    """What `kwise` found in each group of candidates; all [groups]."""

    loss: Tensor  # mean -log likelihood over the pairs of the group, 0 where it has none
    pairs: Tensor  # how many pairs that was; a group with none must not be counted as an answer
    correct: Tensor  # how many of them the scores order as the person did; an equality on either side is half right


def kwise(
    scores: Tensor,
    ranks: Tensor,
    *,
    ties: Literal["drop", "half"] = "drop",
    normalise: Literal["pairs", "k_choose_2"] = "pairs",
    margin: Tensor | None = None,
    label_smoothing: float = 0.0,
    noise: float = 0.0,
) -> Kwise:
    """All pairs of one ranking, averaged within it (Ouyang et al. 2022, equation 1): scores and ranks are [G, K].

        loss_g = 1 / C(K, 2)  sum over r_w < r_l of  -log sigmoid(score_w - score_l)

    Ranks: 1 is best, equal ranks are a tie, 0 means that the slot holds no candidate (its score may be anything, NaN
    included).  Every group weighs the same however many pairs it gave, which is why the K candidates of a prompt stay
    in one batch element: as separate pairs each candidate would be trained on K - 1 times an epoch and overfit.

    ties       "drop" leaves tied pairs out; "half" takes them as one won and one lost with weight 1/2 each.
    normalise  "pairs" divides by the pairs that were used, "k_choose_2" by C(K, 2) of the candidates present, as the
               equation is written (the two differ only where ties are dropped).
    margin     [G], one for all the untied pairs of a group (Touvron et al. 2023, equation 2).
    noise      how often a person answers at random, as in `bradley_terry`.
    """
    if ties not in ("drop", "half") or normalise not in ("pairs", "k_choose_2"):
        raise ValueError(f"ties is 'drop' or 'half' and normalise 'pairs' or 'k_choose_2', not {ties!r}, {normalise!r}")
    lead = 0.0 if margin is None else wide(margin)[:, None, None]

    def won(difference: Tensor) -> Tensor:
        return bradley_terry(difference, torch.zeros_like(difference), margin=lead, label_smoothing=label_smoothing,
                             noise=noise)

    def tied(difference: Tensor) -> Tensor:
        return bradley_terry(difference, torch.zeros_like(difference), 0.5, noise=noise)

    return all_pairs(won, scores, ranks, tied=tied if ties == "half" else None, normalise=normalise)


def all_pairs(
    won: Callable[[Tensor], Tensor],
    scores: Tensor,
    ranks: Tensor,
    *,
    tied: Callable[[Tensor], Tensor] | None = None,
    normalise: Literal["pairs", "k_choose_2"] = "pairs",
) -> Kwise:
    """`kwise` with another loss: the mean of won(score_w - score_l) over the pairs of each ranking (Ouyang et al. 2022, eq. 1).

    `won` maps differences [G, K, K] to losses of the same shape; `tied`, where it is given, does so for tied pairs.
    """
    present = ranks > 0
    scores = torch.where(present, wide(scores), 0.0)
    both = present[:, :, None] & present[:, None, :]
    ahead = both & (ranks[:, :, None] < ranks[:, None, :])
    difference = scores[:, :, None] - scores[:, None, :]
    loss = torch.where(ahead, won(difference), 0.0)
    right = torch.where(ahead, (difference.detach().sign() + 1) / 2, 0.0)
    if tied is not None:
        even = both & (ranks[:, :, None] == ranks[:, None, :]) & _above_diagonal(ranks)
        loss = loss + torch.where(even, tied(difference), 0.0)
        right = right + 0.5 * even
        ahead = ahead | even
    pairs = ahead.sum((1, 2))
    k = present.sum(1)
    weight = pairs if normalise == "pairs" else k * (k - 1) // 2
    return Kwise(loss.sum((1, 2)) / weight.clamp(min=1), pairs, right.sum((1, 2)))


def _above_diagonal(ranks: Tensor) -> Tensor:
    k = ranks.shape[1]
    return torch.ones(k, k, dtype=torch.bool, device=ranks.device).triu(1)


def plackett_luce(scores: Tensor, ranks: Tensor) -> Tensor:
    """-log likelihood of each whole ranking, [G, K] -> [G]: choose the best, then the best of the rest, and so on.

        P(order) = product over i of  exp s_i / sum over j not better than i of exp s_j

    Luce 1959; Plackett 1975.  Ranks as in `kwise`; a group of fewer than two candidates gives 0.  Tied candidates are
    each taken as the first choice among themselves and the rest (Breslow 1974, whose partial likelihood is the same
    formula): exact without ties, and symmetric in the tied ones.
    """
    present = ranks > 0
    scores = torch.where(present, wide(scores), 0.0)
    open_to = present[:, None, :] & (ranks[:, None, :] >= ranks[:, :, None])  # row i: who could have come in i's place
    # An absent slot chooses among everything, so that no row is empty and turns the gradient into NaN; it is dropped.
    open_to = open_to | ~present[:, :, None]
    among = torch.where(open_to, scores[:, None, :], -torch.inf).logsumexp(2)
    return ((among - scores) * present).sum(1)


def best_of_k(scores: Tensor, best: Tensor, present: Tensor | None = None) -> Tensor:
    """-log softmax(scores)[best] of each group, [G, K] and [G] -> [G]: one choice among k (Ziegler et al. 2019, eq. 1).

    `present` [G, K] is false where a slot holds no candidate.
    """
    scores = wide(scores)
    if present is not None:
        scores = torch.where(present, scores, -torch.inf)
    return F.cross_entropy(scores, best, reduction="none")


def centre(scores: Tensor, present: Tensor | None = None) -> Tensor:
    """How far the scores of each group are from summing to nothing, [G, K] -> [G]; multiply it by a small coefficient.

    (s_a + s_b)^2, the mean over pairs where there are more than two (Eisenstein et al. 2023; TRL's
    `center_rewards_coefficient`, usually 0.01).  A preference fixes only differences; this fixes the rest.
    """
    present = torch.ones_like(scores, dtype=torch.bool) if present is None else present
    scores = torch.where(present, wide(scores), 0.0)
    pair = present[:, :, None] & present[:, None, :] & _above_diagonal(scores)
    total = ((scores[:, :, None] + scores[:, None, :]) ** 2 * pair).sum((1, 2))
    return total / pair.sum((1, 2)).clamp(min=1)
