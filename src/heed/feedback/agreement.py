"""How far two ways of answering order the same candidates alike.

The unit is the pair of candidates of one comparison, seen by two sides.  People agree on 63 to 77 % of the pairs
(Bai et al. 2022: 63 %; Ouyang et al. 2022: 72.6 +- 1.5 %; Stiennon et al. 2020: 73 to 77 %), so nobody can be expected
to agree with them much more often.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import add

from heed.feedback.interval import Figure, figure
from heed.records import Ranking

# Lines to draw beside what is measured: what careful people reach, as a share of the pairs.
REFERENCES = {
    "a researcher with crowd workers (Bai et al. 2022)": 0.63,
    "labelers with each other (Ouyang et al. 2022)": 0.726,
    "held-out labelers with each other (Ouyang et al. 2022)": 0.773,
}


@dataclass(frozen=True)
class Agreement:
    """Counts of pairs of candidates, each seen by two sides."""

    same: int = 0  # both prefer the same one
    opposite: int = 0  # each prefers another
    one_tied: int = 0  # one side has a preference, the other has none
    both_tied: int = 0  # neither has a preference

    @property
    def rate(self) -> float:
        """same / (same + opposite): of the pairs on which both have a preference.  NaN where there is none."""
        return self.same / decided if (decided := self.same + self.opposite) else math.nan

    @property
    def pairs(self) -> int:
        return self.same + self.opposite + self.one_tied + self.both_tied

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(self.same + other.same, self.opposite + other.opposite,
                         self.one_tied + other.one_tied, self.both_tied + other.both_tied)


def agree(a: Sequence[float], b: Sequence[float]) -> Agreement:
    """Two sides on the candidates of one comparison, lower is better (as ranks are); the sequences are parallel."""
    return Agreement(*_counts(a, b))


def between_labelers(rankings: Iterable[Ranking]) -> dict[tuple[str, str], Agreement]:
    """For every two labelers (names in order) who answered a comparison in common, over all such comparisons."""
    found: dict[tuple[str, str], list[int]] = {}
    for answers in _by_comparison(rankings):
        for a, b in combinations(answers, 2):
            total = found.setdefault((a.judgement.labeler, b.judgement.labeler), [0, 0, 0, 0])
            total[:] = map(add, total, _counts(a.ranks, b.ranks))
    return {pair: Agreement(*total) for pair, total in found.items()}


def matrix(rankings: Iterable[Ranking]) -> tuple[list[str], list[list[Agreement | None]]]:
    """Labelers' names, and for each a row of agreements with each; None with themselves and where nothing is in common."""
    found = between_labelers(rankings)
    names = sorted({name for pair in found for name in pair})
    return names, [[found.get((min(a, b), max(a, b))) for b in names] for a in names]


def rate_between(rankings: Iterable[Ranking]) -> Figure:
    """Share of the decided pairs on which two labelers agree, over all labelers; its interval from drawing prompts again."""
    rows = ((answers[0].prompt.id, _decided(answers)) for answers in _by_comparison(rankings) if len(answers) > 1)
    return figure(rows, lambda total: total[0] / sum(total) if sum(total) else math.nan)


def disputes(rankings: Iterable[Ranking]) -> list[tuple[str, Agreement]]:
    """(comparison's id, how its labelers agree) of the comparisons on which two prefer opposite answers, worst first."""
    found = []
    for answers in _by_comparison(rankings):
        total = sum((agree(a.ranks, b.ranks) for a, b in combinations(answers, 2)), Agreement())
        if total.opposite:
            found.append((answers[0].comparison.id, total))
    return sorted(found, key=lambda one: (one[1].rate, -one[1].opposite, one[0]))


def with_scores(rankings: Iterable[Ranking], scores: Mapping[str, Sequence[float]]) -> Agreement:
    """Labelers with a score function: `scores` maps a comparison's id to a score for each candidate, higher is better.

    Comparisons without scores are left out.
    """
    total = Agreement()
    for ranking in rankings:
        if ranking.comparison.id in scores:
            total += agree(ranking.ranks, [-s for s in scores[ranking.comparison.id]])
    return total


def _by_comparison(rankings: Iterable[Ranking]) -> list[list[Ranking]]:
    """The answers to each comparison, in the order of their labelers' names; a labeler's last answer counts."""
    answers: dict[str, dict[str, Ranking]] = {}
    for ranking in rankings:
        answers.setdefault(ranking.comparison.id, {})[ranking.judgement.labeler] = ranking
    return [[by[name] for name in sorted(by)] for by in answers.values()]


def _decided(answers: Sequence[Ranking]) -> list[int]:
    """[same, opposite] over every two answers to one comparison."""
    counts = [_counts(a.ranks, b.ranks) for a, b in combinations(answers, 2)]
    return [sum(c[0] for c in counts), sum(c[1] for c in counts)]


def _counts(a: Sequence[float], b: Sequence[float]) -> tuple[int, int, int, int]:
    """The fields of Agreement."""
    same = opposite = one_tied = both_tied = 0
    for (x, y), (u, v) in zip(combinations(a, 2), combinations(b, 2), strict=True):
        if x == y or u == v:
            both_tied += x == y and u == v
            one_tied += (x == y) != (u == v)
        elif (x < y) == (u < v):
            same += 1
        else:
            opposite += 1
    return same, opposite, one_tied, both_tied
