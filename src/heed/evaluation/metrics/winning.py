"""Which of two policies is preferred, and by how much."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heed.evaluation.estimate import Estimate, Rows, by_cluster, same_length, samples, share

_PERMUTATIONS = 10_000
_EXACT_UP_TO = 12  # prompts: 2**12 sign flips are fewer than the draws


@dataclass(frozen=True)
class WinRate:
    """`rate` of A over B; `wins`, `ties`, `losses` count pairs; `detectable` is the difference from 0.5 that this many
    prompts would find 4 times out of 5 at the 5 % level (None where every prompt agrees, or there is one)."""

    rate: Estimate
    wins: int
    ties: int
    losses: int
    p_value: float
    detectable: float | None


def win_rate(a: Rows, b: Rows, prompt_ids: Sequence[Hashable] | None = None, *, seed: int = 0) -> WinRate:
    """(wins + ties / 2) / pairs of A's scores over B's, higher is better.

    `a` and `b` hold one entry a prompt: a score, or the scores of its samples; all pairs of one prompt's samples are
    compared.  Rows with the same id in `prompt_ids` are one prompt.  A with itself gives 0.5; swapping gives 1 - rate.
    Interval: bootstrap over prompts; Wilson where each prompt is one win or loss.  `p_value`: paired permutation
    (A and B swapped within a prompt), two-sided.  Raises RunError for scores that are not finite.
    """
    same_length(a=a, b=b, prompt_ids=prompt_ids)
    pairs = [np.sign(x[:, None] - y[None, :]).ravel() for x, y in zip(samples(a, "a"), samples(b, "b"), strict=True)]
    signs = np.concatenate(pairs)
    clusters = by_cluster(np.array([[(s.sum() + len(s)) / 2, len(s)] for s in pairs]), prompt_ids)
    excess = clusters[:, 0] - clusters[:, 1] / 2
    return WinRate(
        rate=share(clusters, seed=seed),
        wins=int((signs > 0).sum()),
        ties=int((signs == 0).sum()),
        losses=int((signs < 0).sum()),
        p_value=_sign_flip_p(excess, seed),
        detectable=_detectable(excess, float(clusters[:, 1].sum())),
    )


def _sign_flip_p(excess: NDArray[np.float64], seed: int) -> float:
    """Two-sided p of |sum(excess)| when each prompt's sign is a coin: exact for few prompts, else drawn."""
    excess = excess[excess != 0]
    count = len(excess)
    if count <= _EXACT_UP_TO:
        bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
        sums = (1 - 2 * bits) @ excess
        return float(np.mean(np.abs(sums) >= abs(excess.sum()) - 1e-9))
    rng = np.random.default_rng(seed)
    extreme, step = 0, max(1, 2_000_000 // count)
    for start in range(0, _PERMUTATIONS, step):
        heads = rng.integers(0, 2, (min(step, _PERMUTATIONS - start), count), dtype=np.int8)
        extreme += int(np.sum(np.abs(excess.sum() - 2 * (heads @ excess)) >= abs(excess.sum()) - 1e-9))
    return (1 + extreme) / (1 + _PERMUTATIONS)


def _detectable(excess: NDArray[np.float64], pairs: float) -> float | None:
    """(z_0.975 + z_0.8) standard errors of the win rate, the error clustered by prompt."""
    count = len(excess)
    if count < 2 or np.ptp(excess) == 0:
        return None
    error = np.sqrt(count / (count - 1) * np.sum((excess - excess.mean()) ** 2)) / pairs
    return float((1.959964 + 0.841621) * error)
