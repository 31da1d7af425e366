"""One order out of several people's rankings, to be looked at: training reads what each of them said.

Ranked pairs (Tideman 1987) puts the winner of all duels first where there is one, and does not change when a copy of a
candidate joins.  Borda's points (1781) are beside it for comparison; they do change.  Rankings map candidates to ranks, 1
is best; ranks may be tied, and candidates may be missing from some.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations, permutations
from math import fsum

Ranks = Mapping[str, int]


def ranked_pairs(rankings: Iterable[Ranks]) -> list[str]:
    """All candidates, the best first.

    The duels are gone through from the widest margin to the narrowest, and each one that contradicts none before it
    stands.  Duels of equal margin are taken, and candidates that no duel separates are put, in the order of their ids.
    """
    rankings = list(rankings)
    beaten = margins(rankings)
    ids = sorted({id for ranks in rankings for id in ranks})
    below: dict[str, set[str]] = {id: set() for id in ids}  # everything that stands below it, by way of others too
    for (winner, loser), margin in sorted(beaten.items(), key=lambda duel: (-duel[1], duel[0])):
        if margin > 0 and winner not in below[loser]:
            for id in ids:
                if id == winner or winner in below[id]:
                    below[id] |= {loser} | below[loser]
    order: list[str] = []
    while len(order) < len(ids):
        left = [id for id in ids if id not in order]
        order.append(next(id for id in left if not any(id in below[other] for other in left)))
    return order


def margins(rankings: Iterable[Ranks]) -> Counter[tuple[str, str]]:
    """(a, b) -> how many more rankings prefer a to b than b to a, among those that hold both; both orders are there."""
    found: Counter[tuple[str, str]] = Counter()
    for ranks in rankings:
        for a, b in combinations(ranks, 2):
            said = (ranks[a] < ranks[b]) - (ranks[a] > ranks[b])
            found[a, b] += said
            found[b, a] -= said
    return found


def borda(rankings: Iterable[Ranks]) -> dict[str, float]:
    """The share of the other candidates that each one beats, a tie being half, averaged over the rankings that hold it.

    The best first; equal ones in the order of their ids.  A ranking of one candidate says nothing and is left out.
    """
    shares: dict[str, list[float]] = {}
    for ranks in rankings:
        points = Counter(dict.fromkeys(ranks, 0.0))
        for a, b in permutations(ranks, 2):
            points[a] += 1.0 if ranks[a] < ranks[b] else 0.5 if ranks[a] == ranks[b] else 0.0
        for id in ranks if len(ranks) > 1 else ():
            shares.setdefault(id, []).append(points[id] / (len(ranks) - 1))
    means = {id: fsum(each) / len(each) for id, each in shares.items()}
    return dict(sorted(means.items(), key=lambda one: (-one[1], one[0])))
