"""Mean scores, and the difference of two means on the same prompts."""

from collections.abc import Hashable, Sequence

import numpy as np

from heed.evaluation.estimate import Estimate, Rows, bootstrap, by_cluster, ratio, same_length, samples


def mean(values: Rows, prompt_ids: Sequence[Hashable] | None = None, *, seed: int = 0) -> Estimate:
    """Mean over all samples of all prompts, with an interval that draws whole prompts again."""
    same_length(values=values, prompt_ids=prompt_ids)
    sums = np.array([[row.sum(), len(row)] for row in samples(values, "values")])
    return ratio(by_cluster(sums, prompt_ids), seed=seed)


def difference(a: Rows, b: Rows, prompt_ids: Sequence[Hashable] | None = None, *, seed: int = 0) -> Estimate:
    """mean(a) - mean(b) on the same prompts.  A prompt is drawn for both at once, so that what makes a prompt hard
    for both cancels and the interval is that of the difference."""
    same_length(a=a, b=b, prompt_ids=prompt_ids)
    rows = zip(samples(a, "a"), samples(b, "b"), strict=True)
    clusters = by_cluster(np.array([[x.sum(), len(x), y.sum(), len(y)] for x, y in rows]), prompt_ids)
    s = clusters.sum(axis=0)
    bounds = bootstrap(clusters, lambda t: t[:, 0] / t[:, 1] - t[:, 2] / t[:, 3], seed=seed)
    method = "paired bootstrap over prompts" if bounds else "no interval: one prompt"
    return Estimate(float(s[0] / s[1] - s[2] / s[3]), *(bounds or (None, None)), len(clusters), method)
