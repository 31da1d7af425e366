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
    """`ece` beside `null_mean` and `null_p95`: what a perfectly calibrated model with these very probabilities would
    get on as many pairs.  An ece below `null_p95` is no evidence of miscalibration.

    `temperature` divides the reward differences to fit best: above 1 the model is too sure.  None where no finite one
    exists (every pair right, or most wrong).  `nll_at_temperature` is the loss there.
    """

    ece: float
    null_mean: float
    null_p95: float
    brier: float
    nll: float
    temperature: float | None
    nll_at_temperature: float
    bins: tuple[ReliabilityBin, ...]
    n: int


def calibration(
    chosen: Sequence[float], rejected: Sequence[float], *, bins: int = 10, simulations: int = 1000, seed: int = 0
) -> Calibration:
    """Calibration of P(chosen preferred) = sigmoid(r_chosen - r_rejected), one entry a pair.

    The expected calibration error is sum over equal-mass bins of (n_bin / n) |accuracy - confidence|, where a pair's
    confidence is the larger of its two probabilities, so that the order in which a pair is written does not matter.
    ECE is never 0 on finite data (0.064 for a perfect model on 300 pairs), hence the simulated null; the null draws
    pairs independently, so it is a little narrow where one prompt gives many pairs.  Brier: mean (1 - P(chosen))^2,
    0.25 for a coin.  NLL in nats, 0.693 for a coin.  Sources: Naeini et al. 2015 (ECE); Guo et al. 2017 (temperature).
    """
    same_length(chosen=chosen, rejected=rejected)
    delta = finite(chosen, "chosen") - finite(rejected, "rejected")
    if not len(delta):
        raise UserError("no pairs to measure a calibration on")
    order = np.argsort(np.abs(delta), kind="stable")
    sure, right = _sigmoid(np.abs(delta[order])), (np.sign(delta[order]) + 1) / 2
    parts = np.array_split(np.arange(len(delta)), min(bins, len(delta)))
    rng = np.random.default_rng(seed)
    null = [_ece(sure, (rng.random(len(sure)) < sure).astype(float), parts) for _ in range(simulations)]
    temperature, fitted = _fit_temperature(delta)
    return Calibration(
        ece=_ece(sure, right, parts),
        null_mean=float(np.mean(null)),
        null_p95=float(np.quantile(null, 0.95)),
        brier=float(np.mean((1 - _sigmoid(delta)) ** 2)),
        nll=_nll(delta),
        temperature=temperature,
        nll_at_temperature=fitted,
        bins=tuple(ReliabilityBin(float(sure[p].mean()), float(right[p].mean()), len(p)) for p in parts),
        n=len(delta),
    )


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -x))


def _nll(delta: NDArray[np.float64]) -> float:
    return float(np.mean(np.logaddexp(0.0, -delta)))


def _ece(sure: NDArray[np.float64], right: NDArray[np.float64], parts: Sequence[NDArray[np.int64]]) -> float:
    return float(sum(abs(right[p].sum() - sure[p].sum()) for p in parts) / len(sure))


def _fit_temperature(delta: NDArray[np.float64]) -> tuple[float | None, float]:
    """The temperature with the least NLL, and that NLL.

    In 1 / T the NLL is convex: its least is at 1 / T = 0 where the mean difference is not positive, and at T = 0 where
    no pair is wrong; then there is no temperature to report.
    """
    from scipy.optimize import minimize_scalar

    if delta.mean() <= 0:
        return None, float(np.log(2))
    if delta.min() >= 0:
        return None, float(np.log(2) * np.mean(delta == 0))
    best = minimize_scalar(
        lambda log_t: _nll(delta / np.exp(log_t)), bounds=(-_LOG_TEMPERATURE, _LOG_TEMPERATURE), method="bounded"
    )
    return float(np.exp(best.x)), float(best.fun)
