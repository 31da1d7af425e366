"""The laws of reward-model overoptimisation: gold reward as a function of the distance from the start."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from heed.errors import UserError
from heed.evaluation.estimate import Estimate, finite, same_length

_RESAMPLES = 2000
_FEWEST = 8


@dataclass(frozen=True)
class GaoFit:
    """`alpha`, `beta` and the peak distance d*, or None with `refused` saying why they are not to be trusted.

    `r2` is in-sample, `r2_held_out` predicts every second point from the others; `d` and `fitted` draw the curve.
    """

    form: Literal["bon", "rl"]
    alpha: Estimate | None
    beta: Estimate | None
    peak: Estimate | None
    r2: float
    r2_held_out: float
    refused: str
    d: tuple[float, ...]
    fitted: tuple[float, ...]


def gao_fit(
    kl: Sequence[float], gold: Sequence[float], form: Literal["bon", "rl"], *, start: float | None = None, seed: int = 0
) -> GaoFit:
    """Fit the gold reward over d = sqrt(KL(pi || pi_init)): one point a checkpoint, in any order.

    R_bon(d) = d (alpha - beta d) with its peak at alpha / (2 beta); R_RL(d) = d (alpha - beta log d) with its peak at
    exp(alpha / beta - 1).  `start` is the gold reward of the initial policy, from which R is counted; None fits it as
    well.  Least squares; intervals by a bootstrap over points.  Coefficients are refused where the peak does not lie
    inside the distances seen: beta is then an extrapolation.  Points with KL <= 0 are left out.
    Source: Gao et al. 2022 (arXiv 2210.10760).
    """
    same_length(kl=kl, gold=gold)
    if form not in ("bon", "rl"):
        raise UserError(f"form is {form!r}, expected 'bon' or 'rl'")
    kl, gold = finite(kl, "kl"), finite(gold, "gold") - (start or 0.0)
    order = np.argsort(kl, kind="stable")[np.sum(kl <= 0) :]
    if len(order) < _FEWEST:
        raise UserError(f"a fit needs at least {_FEWEST} points with KL > 0, got {len(order)}")
    d, gold = np.sqrt(kl[order]), gold[order]
    terms = _terms(d, form, free_start=start is None)
    weights = _solve(terms, gold)
    fitted = terms @ weights
    held_out = np.empty_like(gold)
    for half in (0, 1):
        held_out[half::2] = terms[half::2] @ _solve(terms[1 - half :: 2], gold[1 - half :: 2])
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(d), (_RESAMPLES, len(d)))
    draws = np.array([_solve(terms[i], gold[i]) for i in drawn])
    refused = _refusal(_peak(weights, form), float(d[-1]))
    values = (weights[0], weights[1], _peak(weights, form))
    columns = (draws[:, 0], draws[:, 1], np.array([_peak(w, form) for w in draws]))
    alpha, beta, peak = (None if refused else _interval(v, c, len(d)) for v, c in zip(values, columns, strict=True))
    return GaoFit(
        form, alpha, beta, peak, _r2(gold, fitted), _r2(gold, held_out), refused,
        tuple(d.tolist()), tuple((fitted + (start or 0.0)).tolist()),
    )  # fmt: skip


def _terms(d: NDArray[np.float64], form: str, *, free_start: bool) -> NDArray[np.float64]:
    columns = [d, -d * d if form == "bon" else -d * np.log(d)]
    return np.stack(columns + [np.ones_like(d)] * free_start, axis=1)


def _solve(terms: NDArray[np.float64], gold: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.lstsq(terms, gold, rcond=None)[0]


def _peak(weights: NDArray[np.float64], form: str) -> float:
    """d* where the fitted curve is highest; infinite where it only rises."""
    alpha, beta = weights[:2]
    if beta <= 0:
        return float("inf")
    return float(alpha / (2 * beta)) if form == "bon" else float(np.exp(min(alpha / beta - 1, 700.0)))


def _refusal(peak: float, furthest: float) -> str:
    if peak < furthest:
        return ""
    return (
        f"no turnover was observed up to sqrt(KL) = {furthest:.2f}, so alpha, beta and the peak would be extrapolated"
    )


def _interval(value: float, draws: NDArray[np.float64], n: int) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975], method="nearest")
    return Estimate(float(value), float(low), float(high), n, "bootstrap over points")


def _r2(seen: NDArray[np.float64], fitted: NDArray[np.float64]) -> float:
    spread = np.sum((seen - seen.mean()) ** 2)
    return float(1 - np.sum((seen - fitted) ** 2) / spread) if spread > 0 else 0.0
