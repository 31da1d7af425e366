"""What labelers do that has nothing to do with the answers: the place they favour, the length, the pace.

The order in which a judgement names its candidates is the order in which they were shown, so only answers given through
heed have a position to speak of; imported ones have whatever order their file had.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from heed.feedback.interval import Figure, figure
from heed.records import Ranking

STRANGE = 3.5  # robust z beyond which a value is an outlier (Iglewicz and Hoaglin 1993)


def position_bias(rankings: Iterable[Ranking]) -> Figure:
    """Of the pairs with a preference, the share in which the one shown first won; 0.5 where the place does not matter."""
    return _share(rankings, lambda ranking, order: {id: -place for place, id in enumerate(order)})


def length_bias(rankings: Iterable[Ranking]) -> Figure:
    """Of the pairs with a preference and different lengths in words, the share in which the longer one won.

    Longer answers may be better: this is a bias only as far as it exceeds what those who know better say of the same.
    """
    return _share(rankings, lambda ranking, order: {c.id: len(c.text.split()) for c in ranking.comparison.candidates})


@dataclass(frozen=True)
class Pace:
    """How fast a labeler answers."""

    labeler: str
    answers: int  # those whose time is known
    seconds: float  # median an answer
    words_per_second: float  # median, of the words shown
    z: float  # robust z of log(words per second) among the labelers; NaN for fewer than three of them
    strange: str  # "fast", "slow" or ""


def pace(rankings: Iterable[Ranking]) -> list[Pace]:
    """Each labeler's pace, the fastest first.  Answers without a time, as synthetic ones, are left out."""
    times: dict[str, list[tuple[float, float]]] = {}
    for ranking in rankings:
        if ranking.judgement.seconds > 0:
            words = max(1, sum(len(text.split()) for text in ranking.completions))
            times.setdefault(ranking.judgement.labeler, []).append((ranking.judgement.seconds, words))
    speeds = {who: median(words / seconds for seconds, words in each) for who, each in times.items()}
    z = _robust_z({who: math.log(speed) for who, speed in speeds.items()})
    found = [Pace(who, len(each), median(s for s, _ in each), speeds[who], z[who],
                  "" if not abs(z[who]) > STRANGE else "fast" if z[who] > 0 else "slow") for who, each in times.items()]
    return sorted(found, key=lambda one: (-one.words_per_second, one.labeler))


def _share(rankings: Iterable[Ranking], worth: Callable[[Ranking, list[str]], dict[str, float]]) -> Figure:
    """How often the candidate of greater worth has the better rank, of the pairs that differ in both."""
    rows = []
    for ranking in rankings:
        ranks = ranking.judgement.ranks
        value = worth(ranking, list(ranks))
        signs = [(ranks[b] - ranks[a]) * (value[a] - value[b]) for a, b in combinations(ranks, 2)]
        with_it, against = sum(s > 0 for s in signs), sum(s < 0 for s in signs)
        if with_it or against:
            rows.append((ranking.prompt.id, (with_it, against)))
    return figure(rows, lambda total: total[0] / sum(total))


def _robust_z(values: dict[str, float]) -> dict[str, float]:
    """0.6745 (x - median) / MAD; among fewer than three nothing is strange."""
    if len(values) < 3:
        return dict.fromkeys(values, math.nan)
    middle = median(values.values())
    spread = median(abs(x - middle) for x in values.values())
    return {who: 0.6745 * (x - middle) / spread if spread else math.copysign(math.inf, x - middle) if x != middle else 0.0
            for who, x in values.items()}
