"""Which of two methods is better, when each was trained several times."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from heed.errors import UserError
from heed.evaluation.estimate import Estimate, Rows, samples

RESAMPLES = 4000


def mean_over_seeds(values: Sequence[Rows], *, seed: int = 0) -> Estimate:
    """Mean of the trainings' means.  `values` holds the rows of each training on the same prompts.

    Interval: trainings and prompts are both drawn again, so that it says what another training on other prompts would give;
    few trainings make it too narrow, and one says nothing about others.
    """
    table = np.stack([[row.mean() for row in samples(rows, "values")] for rows in values])
    return _drawn(table[:, None], seed, lambda w, v, p: np.einsum("rs,sp,rp->r", w, table, p))


def win_rate_over_seeds(a: Sequence[Rows], b: Sequence[Rows], *, seed: int = 0) -> Estimate:
    """(wins + ties / 2) / pairs of A's answers over B's, every training of A against every one of B; higher is better.

    `a` and `b` hold the rows of each training on the same prompts.  Interval as for `mean_over_seeds`, the trainings of A and
    of B drawn apart.
    """
    ours, theirs = ([samples(rows, name) for rows in several] for name, several in (("a", a), ("b", b)))
    if len({len(rows) for rows in (*ours, *theirs)}) > 1:
        raise UserError("expected answers to the same prompts by every training")
    table = np.array([[[_won(x, y) for x, y in zip(one, other, strict=True)] for other in theirs] for one in ours])
    return _drawn(table, seed, lambda w, v, p: np.einsum("rst,rs,rt->r", np.einsum("stp,rp->rst", table, p), w, v))


def _won(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float((np.sign(x[:, None] - y[None, :]).mean() + 1) / 2)


def _drawn(table: NDArray[np.float64], seed: int, statistic: Callable[..., NDArray[np.float64]]) -> Estimate:
    """The mean of `table` [trainings of A, trainings of B, prompts] under weights drawn for each of the three."""
    prompts = table.shape[-1]
    rng = np.random.default_rng(seed)
    weights = [rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n for n in table.shape]
    value = float(table.mean())
    if prompts < 2:
        return Estimate(value, None, None, prompts, "no interval: one prompt")
    low, high = np.quantile(statistic(*weights), [0.025, 0.975])
    return Estimate(value, float(low), float(high), prompts, "bootstrap over trainings and prompts")
