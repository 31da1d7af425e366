"""When a reward model says 80 %, is it right 80 % of the time?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heed.errors import UserError
from heed.evaluation.estimate import finite, same_length

_LOG_TEMPERATURE = 7.0  # the fit looks between e-7 and e7


@dataclass(frozen=True)
class ReliabilityBin:
    """`n` pairs: how sure the model is on average, and how often it is right."""

    confidence: float
    accuracy: float
    n: int


@dataclass(frozen=True)
class Calibration:
    """`ece` beside `null_mean` and `null_95`: what a perfectly calibrated model with these very probabilities would
    get on as many pairs.  An ece below `null_95` is no evidence of miscalibration.

    `temperature` divides the reward differences to fit best: above 1 the model is too sure.  None where no finite one
    exists (every pair right, or most wrong).  `nll_at_temperature` is the loss there.
    """

    ece: float
    null_mean: float
    null_95: float
    brier: float
    nll: float
    temperature: float | None
    nll_at_temperature: float
    bins: tuple[ReliabilityBin, ...]
    n: int


def calibration(
    differences: Sequence[float], outcomes: Sequence[float], *, bins: int = 10, simulations: int = 1000, seed: int = 0
) -> Calibration:
    """Calibration of P(a preferred) = sigmoid(r_a - r_b), one entry a pair.

    `outcomes` says what people preferred: 1 a, 0 b, 0.5 neither; all 1 where the first of each pair is the chosen one.

    The expected calibration error is sum over equal-mass bins of (n_bin / n) |accuracy - confidence|, where a pair's
    confidence is the larger of its two probabilities, so that the order in which a pair is written does not matter.
    ECE is never 0 on finite data (0.064 for a perfect model on 300 pairs), hence the simulated null; the null draws
    pairs independently, so it is a little narrow where one prompt gives many pairs.  Brier: mean (outcome - P)^2,
    0.25 for a coin.  NLL in nats, 0.693 for a coin.  Sources: Naeini et al. 2015 (ECE); Guo et al. 2017 (temperature).
    """
    same_length(differences=differences, outcomes=outcomes)
    delta, outcome = finite(differences, "differences"), finite(outcomes, "outcomes")
    if not len(delta):
        raise UserError("no pairs to measure a calibration on")
    if not np.isin(outcome, (0, 0.5, 1)).all():
        raise UserError("outcomes hold something else than 0, 0.5 and 1")
    order = np.argsort(np.abs(delta), kind="stable")
    sure = _sigmoid(np.abs(delta[order]))
    right = 0.5 + np.sign(delta[order]) * (outcome[order] - 0.5)
    parts = np.array_split(np.arange(len(delta)), min(bins, len(delta)))
    rng = np.random.default_rng(seed)
    null = [_ece(sure, (rng.random(len(sure)) < sure).astype(float), parts) for _ in range(simulations)]
    temperature, fitted = _fit_temperature(delta, outcome)
    return Calibration(
        ece=_ece(sure, right, parts),
        null_mean=float(np.mean(null)),
        null_95=float(np.quantile(null, 0.95)),
        brier=float(np.mean((outcome - _sigmoid(delta)) ** 2)),
        nll=_nll(delta, outcome),
        temperature=temperature,
        nll_at_temperature=fitted,
        bins=tuple(ReliabilityBin(float(sure[p].mean()), float(right[p].mean()), len(p)) for p in parts),
        n=len(delta),
    )


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -x))


def _nll(delta: NDArray[np.float64], outcome: NDArray[np.float64]) -> float:
    return float(np.mean(np.logaddexp(0.0, -delta) + (1 - outcome) * delta))


def _ece(sure: NDArray[np.float64], right: NDArray[np.float64], parts: Sequence[NDArray[np.int64]]) -> float:
    return float(sum(abs(right[p].sum() - sure[p].sum()) for p in parts) / len(sure))


def _fit_temperature(delta: NDArray[np.float64], outcome: NDArray[np.float64]) -> tuple[float | None, float]:
    """The temperature with the least NLL, and that NLL.

    In 1 / T the NLL is convex: its least is at 1 / T = 0 where the reward does not go with the outcome, and at T = 0
    where no pair is wrong; then there is no temperature to report.
    """
    from scipy.optimize import minimize_scalar

    won = delta * (2 * outcome - 1)  # how far ahead the preferred answer is; a tie loses by its difference
    won = np.where(outcome == 0.5, -np.abs(delta), won)
    if np.sum(delta * (outcome - 0.5)) <= 0:
        return None, float(np.log(2))
    if won.min() >= 0:
        return None, float(np.log(2) * np.mean(delta == 0))
    best = minimize_scalar(
        lambda log_t: _nll(delta / np.exp(log_t), outcome),
        bounds=(-_LOG_TEMPERATURE, _LOG_TEMPERATURE),
        method="bounded",
    )
    return float(np.exp(best.x)), float(best.fun)
