"""How strong policies are, from who was preferred to whom."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from heed.errors import UserError
from heed.evaluation.estimate import Estimate, bootstrap, by_cluster

POINTS = 400 / np.log(10)  # Elo points of a nat of Bradley-Terry strength
_STEPS = 300
_RESAMPLES = 2_000


def elo(duels: Sequence[tuple[Hashable, str, str, float]], anchor: str, *, seed: int = 0) -> dict[str, Estimate]:
    """Elo of each policy, the anchor's being 1000: Bradley-Terry strengths (1952) times 400 / ln 10.

    A duel is (prompt, policy, other policy, what the first scored: 1, 1/2 or 0).  Fitted by Hunter's algorithm (2004,
    section 3) with one draw more for every two that met, so that one who won everything stays finite.  Intervals: bootstrap
    over prompts, of the difference from the anchor, whose own has no width.  Policies that no chain of duels links to the
    anchor are left out.
    """
    names = _linked(duels, anchor)
    place = {name: i for i, name in enumerate(names)}
    n = len(names)
    rows = np.zeros((len(duels), n * n))
    for row, (_, a, b, score) in zip(rows, duels, strict=True):
        if a in place and b in place:
            if not 0 <= score <= 1:
                raise UserError(f"{a} against {b} scored {score}, expected a number from 0 to 1")
            row[place[a] * n + place[b]] += score
            row[place[b] * n + place[a]] += 1 - score
    clusters = by_cluster(rows, [prompt for prompt, *_ in duels])
    clusters = clusters[clusters.sum(axis=1) > 0]
    if not len(clusters):
        return {}
    met = (lambda s: (s + s.T > 0) / 2)(clusters.sum(axis=0).reshape(n, n))
    values = 1000 + _strengths(clusters.sum(axis=0)[None], n, met)[0]
    found = {}
    for i, name in enumerate(names):
        bounds = bootstrap(clusters, lambda s, i=i: 1000 + _strengths(s, n, met)[:, i], seed=seed, resamples=_RESAMPLES)
        low, high = bounds or (None, None)
        found[name] = Estimate(float(values[i]), low, high, len(clusters), "bootstrap over prompts")
    return found


def _strengths(won: NDArray[np.float64], n: int, met: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [B, n] above the first policy, from who won how often against whom [B, n * n]."""
    won = won.reshape(-1, n, n) + met
    games, total = won + won.transpose(0, 2, 1), won.sum(axis=2)
    strength = np.ones((len(won), n))
    for _ in range(_STEPS):
        strength = total / (games / (strength[:, :, None] + strength[:, None, :])).sum(axis=2)
        strength /= strength[:, :1]
    return POINTS * np.log(strength)


def _linked(duels: Sequence[tuple[Hashable, str, str, float]], anchor: str) -> list[str]:
    """The anchor, then all that a chain of duels links to it, in order of appearance."""
    edges: dict[str, set[str]] = {}
    for _, a, b, _ in duels:
        edges.setdefault(a, set()).add(b)
        edges.setdefault(b, set()).add(a)
    reached, new = {anchor}, {anchor}
    while new:
        new = {other for name in new for other in edges.get(name, ())} - reached
        reached |= new
    return [anchor, *(name for name in edges if name in reached and name != anchor)]
