"""Which questions to ask next, of those that could be asked.

random        no preference: what the others are to be measured against
disagreement  an ensemble of reward models disagrees most about the order (Christiano et al. 2017, section 2.2.4)
margin        the predicted rewards are closest: uncertainty sampling (Lewis and Gale 1994)
diversity     farthest from everything asked so far: k-centre greedy (Gonzalez 1985; Sener and Savarese 2018)

All take a Pool, a number and a seed, and return places in the pool, the most wanted first; the first n of n + 1 are those
of n.  What is equally wanted comes in an order drawn from the seed.  Scores know nothing of texts: leave out of the pool
what cannot be ranked, such as two equal answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from heed.errors import UserError, nearest


@dataclass(frozen=True)
class Pool:
    """The questions that could be asked, one entry each.

    scores    [members, K] for each question: every ensemble member's reward of its K candidates; K may differ
    features  [questions, d]: where each question lies, however the caller measures that; for diversity
    asked     [n, d]: where those lie that were asked before; for diversity
    """

    scores: Sequence[np.ndarray]
    features: np.ndarray | None = None
    asked: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)


def choose(how: str, pool: Pool, n: int, seed: int = 0) -> list[int]:
    """`n` places in the pool (all of them where it holds fewer) by the method called `how`.

    Raises UserError for an unknown method and for a pool that does not hold what the method needs.
    """
    if how not in QUERIES:
        raise UserError(f"unknown way to choose questions {how!r}{nearest(how, QUERIES)}")
    if n < 0:
        raise UserError(f"{n} questions to choose; expected 0 or more")
    if not len(pool):
        return []
    return QUERIES[how](pool, n, seed)


def random(pool: Pool, n: int, seed: int) -> list[int]:
    """Without replacement, uniformly."""
    return _first(np.zeros(len(pool)), n, seed)


def disagreement(pool: Pool, n: int, seed: int) -> list[int]:
    """The greatest variance over members of P(i is preferred to j) = sigmoid(r_i - r_j), averaged over pairs."""
    scores = _checked(pool)
    for i, s in enumerate(scores):
        if len(s) < 2:
            raise UserError(f"disagreement needs at least 2 ensemble members; question {i} has scores of 1")
    return _first(np.array([_gaps(s, lambda gap: _sigmoid(gap).var()).mean() for s in scores]), n, seed)


def margin(pool: Pool, n: int, seed: int) -> list[int]:
    """The smallest |r_i - r_j| of any two candidates, r being the mean over members."""
    return _first(np.array([-_gaps(s, lambda gap: abs(gap.mean())).min() for s in _checked(pool)]), n, seed)


def diversity(pool: Pool, n: int, seed: int) -> list[int]:
    """Each time the question whose nearest neighbour among those asked and chosen is farthest (Euclidean).

    Where nothing was asked yet, the first is drawn from the seed.
    """
    if pool.features is None or len(pool.features) != len(pool):
        raise UserError(f"diversity needs the features of all {len(pool)} questions; found "
                        f"{'none' if pool.features is None else len(pool.features)}")
    features = np.asarray(pool.features, float).reshape(len(pool), -1)
    dice = np.random.default_rng(seed).permutation(len(pool))
    far = np.full(len(pool), np.inf)
    for other in () if pool.asked is None else np.asarray(pool.asked, float).reshape(len(pool.asked), -1):
        far = np.minimum(far, np.linalg.norm(features - other, axis=1))
    chosen: list[int] = []
    for _ in range(min(n, len(pool))):
        far[chosen] = -1  # also where several lie at one place
        best = int(dice[np.argmax(far[dice])])
        chosen.append(best)
        far = np.minimum(far, np.linalg.norm(features - features[best], axis=1))
    return chosen


QUERIES: dict[str, Callable[[Pool, int, int], list[int]]] = {
    "random": random, "disagreement": disagreement, "margin": margin, "diversity": diversity}


def _first(wanted: np.ndarray, n: int, seed: int) -> list[int]:
    """The n places with the greatest values; equal ones in random order."""
    dice = np.random.default_rng(seed).permutation(len(wanted))
    return dice[np.argsort(-wanted[dice], kind="stable")][:n].tolist()


def _checked(pool: Pool) -> list[np.ndarray]:
    scores = [np.asarray(s, float) for s in pool.scores]
    for i, s in enumerate(scores):
        if s.ndim != 2 or s.shape[1] < 2 or not len(s):
            raise UserError(f"question {i} has scores of shape {s.shape}; expected (members, candidates) with at least 2 "
                            "candidates")
        if not np.isfinite(s).all():
            raise UserError(f"question {i} has a score that is not a number")
    return scores


def _gaps(scores: np.ndarray, of: Callable[[np.ndarray], float]) -> np.ndarray:
    """`of` the members' r_i - r_j, for every two candidates."""
    return np.array([of(scores[:, i] - scores[:, j]) for i, j in combinations(range(scores.shape[1]), 2)])


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))
