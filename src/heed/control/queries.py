"""Which segments to ask about, and when.

Christiano et al. 2017, section 2.2.4 (disagreement, with ten times as many candidates) and appendix A (the rate of labels);
Lee et al. 2021 (B-Pref) for entropy and k-centre.  Random is the default: in the paper active queries sometimes impair,
and they have to prove themselves here too (log/).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from heed.control.segments import Segments

OVERSAMPLING = 10
HALF_LIFE = 2e6  # steps after which labels come half as fast
FIRST = 0.25  # share of the labels asked about a random policy, before anything is learnt


def labels_due(step: int, total_steps: int, labels: int, *, first: float = FIRST) -> int:
    """How many questions should have been asked when `step` of `total_steps` are done.

    A quarter first, the rest at a rate proportional to 2e6 / (step + 2e6), whose integral is a logarithm.
    """
    share = math.log1p(step / HALF_LIFE) / math.log1p(total_steps / HALF_LIFE) if total_steps else 1.0
    return min(labels, round(labels * (first + (1 - first) * share)))


Scores = Callable[[Segments], NDArray]  # each member's sum over each segment, [K, N]
Pairs = list[tuple[int, int]]


def choose(segments: Segments, n: int, random: np.random.Generator, *, strategy: str = "random",
           oversampling: int = OVERSAMPLING, scores: Scores | None = None) -> Pairs:
    """`n` pairs of different segments, the best questions first; fewer where there are no more pairs.

    Strategies other than random draw `oversampling` times as many and keep the best; only those drawn are scored.
    """
    if strategy == "random" or n == 0:
        return _random_pairs(len(segments), n, random)
    pairs = _random_pairs(len(segments), n * oversampling, random)
    if strategy == "k_centre":
        return [pairs[i] for i in k_centre(segments, pairs, n)]
    drawn = sorted({i for pair in pairs for i in pair})
    place = {i: k for k, i in enumerate(drawn)}
    said = probabilities(scores(segments.select(drawn)), [(place[a], place[b]) for a, b in pairs])
    return [pairs[i] for i in {"disagreement": disagreement, "entropy": entropy}[strategy](said, n)]


def _random_pairs(size: int, n: int, random: np.random.Generator) -> Pairs:
    """Pairs laid end to end over permutations, so that no segment is asked about twice before all were asked once."""
    most, pairs = size * (size - 1) // 2, {}
    while len(pairs) < min(n, most):
        order = random.permutation(size)
        for a, b in zip(order[::2].tolist(), order[1::2].tolist(), strict=False):
            pairs.setdefault((min(a, b), max(a, b)), (a, b))
    return list(pairs.values())[:n]


def probabilities(scores: NDArray, pairs: Pairs) -> NDArray[np.float64]:
    """[K, pairs] P(left preferred) by each member."""
    left, right = np.array(pairs).T
    return 1 / (1 + np.exp(-(scores[:, left] - scores[:, right]).astype(np.float64).clip(-50, 50)))


def disagreement(said: NDArray, n: int) -> list[int]:
    """Where the members' probabilities [K, pairs] vary most."""
    return np.argsort(-said.var(0), kind="stable")[:n].tolist()


def entropy(said: NDArray, n: int) -> list[int]:
    """Where the mean probability is nearest to one half."""
    return np.argsort(np.abs(said.mean(0) - 0.5), kind="stable")[:n].tolist()


def k_centre(segments: Segments, pairs: Pairs, n: int) -> list[int]:
    """Pairs that lie far from each other in what is seen and done, chosen greedily (Sener & Savarese 2018)."""
    steps = np.concatenate([segments.obs, segments.actions], -1).mean(1)
    steps = (steps - steps.mean(0)) / (steps.std(0) + 1e-8)
    points = np.array([np.concatenate([steps[a], steps[b]]) for a, b in pairs])
    chosen = [int(((points - points.mean(0)) ** 2).sum(1).argmin())]
    far = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < min(n, len(pairs)):
        chosen.append(int(far.argmax()))
        far = np.minimum(far, ((points - points[chosen[-1]]) ** 2).sum(1))
    return chosen
