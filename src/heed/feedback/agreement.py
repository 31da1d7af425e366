"""How far two ways of answering order the same candidates alike.

The unit is the pair of candidates of one comparison, seen by two sides.  People agree on 63 to 77 % of the pairs
(Bai et al. 2022: 63 %; Ouyang et al. 2022: 72.6 +- 1.5 %; Stiennon et al. 2020: 73 to 77 %), so nobody can be expected
to agree with them much more often.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from heed.records import Ranking


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
    signs = [(_sign(a[i] - a[j]), _sign(b[i] - b[j])) for i, j in combinations(range(len(a)), 2)]
    same = sum(x == y != 0 for x, y in signs)
    opposite = sum(x * y < 0 for x, y in signs)
    both_tied = sum(x == y == 0 for x, y in signs)
    return Agreement(same, opposite, len(signs) - same - opposite - both_tied, both_tied)


def between_labelers(rankings: Iterable[Ranking]) -> dict[tuple[str, str], Agreement]:
    """For every two labelers (names in order) who answered a comparison in common, over all such comparisons."""
    answers: dict[str, dict[str, Ranking]] = {}
    for ranking in rankings:
        answers.setdefault(ranking.comparison.id, {})[ranking.judgement.labeler] = ranking
    found: dict[tuple[str, str], Agreement] = {}
    for by in answers.values():
        for a, b in combinations(sorted(by), 2):
            found[a, b] = found.get((a, b), Agreement()) + agree(by[a].ranks, by[b].ranks)
    return found


def with_scores(rankings: Iterable[Ranking], scores: Mapping[str, Sequence[float]]) -> Agreement:
    """Labelers with a score function: `scores` maps a comparison's id to a score for each candidate, higher is better.

    Comparisons without scores are left out.
    """
    total = Agreement()
    for ranking in rankings:
        if ranking.comparison.id in scores:
            total += agree(ranking.ranks, [-s for s in scores[ranking.comparison.id]])
    return total


def _sign(x: float) -> int:
    return (x > 0) - (x < 0)
