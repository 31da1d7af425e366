"""Is it better, or only longer?"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heed.evaluation.estimate import Estimate, Rows, by_cluster, same_length, samples


@dataclass(frozen=True)
class LengthControlled:
    """`rate`: the win rate at equal length; `raw`: the plain one; `length_effect`: the log-odds that a length
    difference of one tanh unit adds (0: the judge does not look at length)."""

    rate: Estimate
    raw: float
    length_effect: Estimate


def length_controlled_win_rate(
    a: Rows,
    b: Rows,
    a_lengths: Rows,
    b_lengths: Rows,
    prompt_ids: Sequence[Hashable] | None = None,
    *,
    ridge: float = 1.0,
) -> LengthControlled:
    """The win rate of A over B if their answers were equally long.

    Logistic regression of the outcome on an intercept and tanh(length difference / its standard deviation), ridge on
    the slope only; the rate is sigmoid(intercept).  Intervals: from the larger of two standard errors, the sandwich
    clustered by prompt and the model's own.
    Sample i of A is paired with sample i of B.  Source: Dubois et al. 2024, "Length-Controlled AlpacaEval"
    (arXiv 2404.04475), without their instruction-difficulty term, which needs other models' results.
    """
    same_length(a=a, b=b, a_lengths=a_lengths, b_lengths=b_lengths, prompt_ids=prompt_ids)
    given = {"a": a, "b": b, "a_lengths": a_lengths, "b_lengths": b_lengths}
    columns = [samples(rows, name) for name, rows in given.items()]
    for row in zip(*columns, strict=True):
        same_length(**dict(zip(given, row, strict=True)))
    ids = range(len(a)) if prompt_ids is None else prompt_ids
    clusters = [i for i, row in zip(ids, columns[0], strict=True) for _ in row]
    x, y, length_a, length_b = (np.concatenate(column) for column in columns)
    outcome = (np.sign(x - y) + 1) / 2
    gap = length_a - length_b
    spread = gap.std()
    features = np.stack([np.ones_like(gap), np.tanh(gap / spread) if spread > 0 else np.zeros_like(gap)], axis=1)
    weights, errors, n = _ridge_logistic(features, outcome, np.array([0.0, ridge]), clusters)
    low, value, high = (float(1 / (1 + np.exp(-(weights[0] + z * errors[0])))) for z in (-1.959964, 0.0, 1.959964))
    effect = Estimate(
        float(weights[1]), *(float(weights[1] + z * errors[1]) for z in (-1.959964, 1.959964)), n, "sandwich"
    )
    return LengthControlled(Estimate(value, low, high, n, "clustered sandwich"), float(outcome.mean()), effect)


def _ridge_logistic(
    features: NDArray[np.float64],
    outcome: NDArray[np.float64],
    ridge: NDArray[np.float64],
    clusters: Sequence[Hashable],
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Weights, their clustered standard errors and the number of clusters.  Newton's method; outcomes may be 0.5.

    A vanishing ridge on the intercept keeps it finite where A always wins.
    """
    weights = np.zeros(features.shape[1])
    penalty = np.diag(ridge + 1e-3)
    for _ in range(50):
        p = 1 / (1 + np.exp(-features @ weights))
        gradient = features.T @ (outcome - p) - penalty @ weights
        hessian = (features * (p * (1 - p))[:, None]).T @ features + penalty
        step = np.linalg.solve(hessian, gradient)
        weights = weights + step
        if np.abs(step).max() < 1e-10:
            break
    scores = by_cluster(features * (outcome - p)[:, None], clusters)
    bread = np.linalg.inv(hessian)
    n = len(scores)
    sandwich = bread @ (scores.T @ scores) @ bread * n / max(1, n - 1)
    # Where A nearly always wins the residuals, and so the sandwich, vanish; the model's own error does not.
    return weights, np.sqrt(np.maximum(np.diag(sandwich), np.diag(bread))), n
