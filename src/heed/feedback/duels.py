"""What rankings say of whoever wrote the candidates."""

from collections.abc import Iterable, Iterator
from itertools import combinations

from heed.records import Ranking

Duel = tuple[str, str, str, float]  # prompt id, maker, another maker, what the first one scored: 1, 1/2 or 0


def duels(rankings: Iterable[Ranking]) -> Iterator[Duel]:
    """Every two candidates of an answer that have different makers; their names are in order."""
    for ranking in rankings:
        for (a, rank_a), (b, rank_b) in combinations(zip(ranking.comparison.candidates, ranking.ranks, strict=True), 2):
            if a.made_by != b.made_by:
                won = 0.5 if rank_a == rank_b else float(rank_a < rank_b)
                turned = a.made_by > b.made_by
                first, second = sorted((a.made_by, b.made_by))
                yield ranking.prompt.id, first, second, 1 - won if turned else won
