"""Does a reward model order answers as people did?  Accuracy, beside what simpler rules reach on the same pairs."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from heed.errors import UserError
from heed.evaluation.estimate import Estimate, bootstrap, by_cluster, finite, same_length, share


@dataclass(frozen=True)
class MarginBin:
    """Pairs whose |reward difference| lies in [low, high], and the share of them that is ordered rightly."""

    low: float
    high: float
    accuracy: Estimate


def pairwise_accuracy(
    chosen: Sequence[float], rejected: Sequence[float], prompt_ids: Sequence[Hashable] | None = None, *, seed: int = 0
) -> Estimate:
    """Share of pairs in which the preferred answer has the higher reward; an equal reward counts one half.

    One entry a pair.  The pairs of one prompt (K ranked answers give up to K(K-1)/2) are one unit of the interval.
    """
    same_length(chosen=chosen, rejected=rejected, prompt_ids=prompt_ids)
    if not len(chosen):
        raise UserError("no pairs to measure an accuracy on")
    right = (np.sign(finite(chosen, "chosen") - finite(rejected, "rejected")) + 1) / 2
    return share(by_cluster(np.stack([right, np.ones_like(right)], axis=1), prompt_ids), seed=seed)


def accuracy_by_category(
    chosen: Sequence[float],
    rejected: Sequence[float],
    categories: Sequence[str],
    prompt_ids: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Estimate]:
    """`pairwise_accuracy` within each category, by name."""
    same_length(chosen=chosen, rejected=rejected, categories=categories, prompt_ids=prompt_ids)
    ids = range(len(chosen)) if prompt_ids is None else prompt_ids
    result = {}
    for name in sorted(set(categories)):
        rows = [i for i, category in enumerate(categories) if category == name]
        columns = ([column[i] for i in rows] for column in (chosen, rejected, ids))
        result[name] = pairwise_accuracy(*columns, seed=seed)
    return result


def accuracy_controls(
    chosen_lengths: Sequence[float],
    rejected_lengths: Sequence[float],
    prompt_ids: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Estimate]:
    """What rules that read nothing reach on the same pairs: a model is worth what it adds to the best of them.

    "constant" gives every answer the same reward (0.5 by the tie rule), "random" a coin's, "longer" the answer's
    length; "oracle" is always right and shows the ceiling.  A constant that does not get 0.5 means a broken metric.
    """
    n = same_length(chosen_lengths=chosen_lengths, rejected_lengths=rejected_lengths, prompt_ids=prompt_ids)
    rng = np.random.default_rng(seed)
    rules = {
        "constant": (np.zeros(n), np.zeros(n)),
        "random": (rng.random(n), rng.random(n)),
        "longer": (chosen_lengths, rejected_lengths),
        "oracle": (np.ones(n), np.zeros(n)),
    }
    return {name: pairwise_accuracy(a, b, prompt_ids, seed=seed) for name, (a, b) in rules.items()}


def accuracy_by_margin(
    chosen: Sequence[float],
    rejected: Sequence[float],
    prompt_ids: Sequence[Hashable] | None = None,
    *,
    bins: int = 10,
    seed: int = 0,
) -> list[MarginBin]:
    """`pairwise_accuracy` in `bins` equal shares of the pairs by |reward difference|, the closest calls first."""
    same_length(chosen=chosen, rejected=rejected, prompt_ids=prompt_ids)
    margin = np.abs(finite(chosen, "chosen") - finite(rejected, "rejected"))
    ids = range(len(chosen)) if prompt_ids is None else prompt_ids
    result = []
    for part in np.array_split(np.argsort(margin, kind="stable"), min(bins, len(margin))):
        columns = ([column[i] for i in part] for column in (chosen, rejected, ids))
        result.append(
            MarginBin(float(margin[part[0]]), float(margin[part[-1]]), pairwise_accuracy(*columns, seed=seed))
        )
    return result


def length_correlation(
    rewards: Sequence[float], lengths: Sequence[float], prompt_ids: Sequence[Hashable] | None = None, *, seed: int = 0
) -> Estimate:
    """Spearman's rank correlation of reward and length over answers; 0 where one of them never varies.

    Interval: bootstrap over prompts of the correlation of the whole sample's ranks (ranks are not taken again).
    """
    from scipy.stats import rankdata

    same_length(rewards=rewards, lengths=lengths, prompt_ids=prompt_ids)
    x, y = rankdata(finite(rewards, "rewards")), rankdata(finite(lengths, "lengths"))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return Estimate(0.0, None, None, len(x), "no interval: rewards or lengths are all equal")
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    clusters = by_cluster(np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1), prompt_ids)
    bounds = bootstrap(clusters, _correlation, seed=seed)
    method = "bootstrap over prompts" if bounds else "no interval: one prompt"
    return Estimate(float(np.mean(x * y)), *(bounds or (None, None)), len(clusters), method)


def _correlation(sums: np.ndarray) -> np.ndarray:
    """Pearson's correlation from [n, sum x, sum y, sum xx, sum yy, sum xy]."""
    n, x, y, xx, yy, xy = sums.T
    return (xy / n - x * y / n**2) / np.sqrt((xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2))
