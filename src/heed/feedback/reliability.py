"""How far labelers agree beyond chance, from values that several of them gave to the same units.

alpha   Krippendorff 2011 ("Computing Krippendorff's alpha-reliability"): any number of labelers, missing values;
        values are names (nominal), an order (ordinal) or numbers (interval)
cohen   Cohen 1960: two given labelers
fleiss  Fleiss 1971; where units have different numbers of answers, each counts its own pairs
ac1     Gwet 2008, equation 8; it stays near the raw agreement where nearly everybody says the same

A unit is {labeler: value}.  Units with one answer say nothing of agreement (AC1 learns from them how common a value is).
Where only one value was ever used, nothing can be said of agreement beyond chance: NaN, not 1.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, combinations, pairwise
from zlib import crc32

from heed.errors import UserError
from heed.feedback.interval import Figure, added, figure
from heed.records import Ranking, Rating

Unit = Mapping[str, float]  # labeler -> value
Units = Iterable[tuple[str, Unit]]  # with the prompt each belongs to
Sums = Sequence[float]
MANY = 100  # the ordinal distance takes a table of all pairs of values


def reliability(name: str, units: Units) -> Figure:
    """The coefficient called `name` in COEFFICIENTS, its interval from drawing prompts again.

    `cohen` takes units of two labelers and compares the first name with the second.
    """
    rows, values = _rows(name, units)
    return figure(rows, lambda total: COEFFICIENTS[name][1](total, values))


def coefficient(name: str, units: Units) -> float:
    """The coefficient alone."""
    rows, values = _rows(name, units)
    return COEFFICIENTS[name][1](added([row for _, row in rows]), values) if rows else math.nan


def preferences(rankings: Iterable[Ranking]) -> list[tuple[str, Unit]]:
    """(prompt id, unit) for every two candidates that somebody ranked: 1 for the one, -1 for the other, 0 for a tie.

    Which of the two is "the one" is drawn by a hash: neither side has a name that chance could favour.
    """
    units: dict[tuple[str, str, str], dict[str, float]] = {}
    for ranking in rankings:
        ranks, labeler, prompt = ranking.judgement.ranks, ranking.judgement.labeler, ranking.prompt.id
        for a, b in combinations(sorted(ranks), 2):
            units.setdefault((prompt, a, b), {})[labeler] = (ranks[a] < ranks[b]) - (ranks[a] > ranks[b])
    return [(prompt, unit if crc32(f"{a} {b}".encode("utf-8", "surrogatepass")) % 2 else {who: -v for who, v in unit.items()})
            for (prompt, a, b), unit in units.items()]


def rated(ratings: Iterable[Rating], dimension: str) -> list[tuple[str, Unit]]:
    """(prompt id, unit) for every candidate that was rated on `dimension`; a labeler's last rating counts."""
    units: dict[tuple[str, str], dict[str, float]] = {}
    for rating in ratings:
        if dimension in rating.scores:
            units.setdefault((rating.prompt.id, rating.candidate.id), {})[rating.labeler] = rating.scores[dimension]
    return [(prompt, unit) for (prompt, _), unit in units.items()]


def of_two(units: Units, a: str, b: str) -> list[tuple[str, Unit]]:
    """The units that both labelers valued, without the others."""
    return [(prompt, {a: unit[a], b: unit[b]}) for prompt, unit in units if a in unit and b in unit]


def _rows(name: str, units: Units) -> tuple[list[tuple[str, list[float]]], list[float]]:
    """What each unit adds to the sums, with its prompt; and all values that were used, in order."""
    units = [(prompt, unit) for prompt, unit in units if unit]
    values = sorted({v for _, unit in units for v in unit.values()})
    if name == "alpha_ordinal" and len(values) > MANY:
        raise UserError(f"ordinal alpha of {len(values)} different values; expected at most {MANY}, or alpha_interval")
    place = {v: i for i, v in enumerate(values)}
    count, known = COEFFICIENTS[name][0], {}
    rows = []
    for prompt, unit in units:
        places = tuple([place[unit[who]] for who in sorted(unit)])
        if places not in known:  # few values and few labelers: the same answers come again and again
            known[places] = count(places, values)
        rows.append((prompt, known[places]))
    return rows, values


# Krippendorff's coincidences: every ordered pair of answers in a unit of m counts 1 / (m - 1), so that each answer counts 1.


def _same(places: Sequence[int], values: Sequence[float]) -> list[float]:
    """[coincidences of the same value, answers by value]"""
    times, m = Counter(places), len(places)
    if m < 2:
        return [0.0] * (1 + len(values))
    return [sum(x * (x - 1) for x in times.values()) / (m - 1), *(float(times[c]) for c in range(len(values)))]


def _nominal(sums: Sums, values: Sequence[float]) -> float:
    times = sums[1:]
    n = sum(times)
    expected = n * n - sum(x * x for x in times)
    return 1 - (n - 1) * (n - sums[0]) / expected if expected else math.nan


def _moments(places: Sequence[int], values: Sequence[float]) -> list[float]:
    """[squared differences of the coincidences, answers, their sum, their squares] from a value in the middle."""
    m, middle = len(places), values[len(values) // 2]
    if m < 2:
        return [0.0] * 4
    x = [values[p] - middle for p in places]
    one, two = sum(x), sum(v * v for v in x)
    return [2 * (m * two - one * one) / (m - 1), float(m), one, two]


def _interval(sums: Sums, values: Sequence[float]) -> float:
    observed, n, one, two = sums
    expected = 2 * (n * two - one * one)
    return 1 - (n - 1) * observed / expected if expected > 0 else math.nan


def _coincidences(places: Sequence[int], values: Sequence[float]) -> list[float]:
    """The coincidence matrix, row by row."""
    n, times = len(values), Counter(places)
    found = [0.0] * (n * n)
    for c, x in times.items() if len(places) > 1 else ():
        for k, y in times.items():
            found[c * n + k] = x * (y - (c == k)) / (len(places) - 1)
    return found


def _ordinal(sums: Sums, values: Sequence[float]) -> float:
    """The distance of two values is the number of answers between them, half of their own included."""
    n = len(values)
    times = [sum(sums[c * n : (c + 1) * n]) for c in range(n)]
    above = [0.0, *accumulate(times)]
    middle = [(a + b) / 2 for a, b in pairwise(above)]
    pairs = [(c, k, (middle[c] - middle[k]) ** 2) for c in range(n) for k in range(c)]
    observed = sum(sums[c * n + k] * gap for c, k, gap in pairs)
    expected = sum(times[c] * times[k] * gap for c, k, gap in pairs)
    return 1 - (sum(times) - 1) * observed / expected if expected else math.nan


def _table(places: Sequence[int], values: Sequence[float]) -> list[float]:
    """One answer of the first labeler against one of the second."""
    n = len(values)
    found = [0.0] * (n * n)
    if len(places) == 2:
        found[places[0] * n + places[1]] = 1.0
    elif len(places) > 2:
        raise ValueError(f"Cohen's kappa is of two labelers; a unit has {len(places)}")
    return found


def _cohen(sums: Sums, values: Sequence[float]) -> float:
    n, total = len(values), sum(sums)
    if not total:
        return math.nan
    same = sum(sums[c * n + c] for c in range(n)) / total
    chance = sum(sum(sums[c * n : (c + 1) * n]) * sum(sums[c::n]) for c in range(n)) / total**2
    return (same - chance) / (1 - chance) if chance < 1 else math.nan


def _shares(places: Sequence[int], values: Sequence[float]) -> list[float]:
    """[units with two answers or more, their agreeing pairs' shares, answers in them by value, units, shares by value]"""
    m, n, times = len(places), len(values), Counter(places)
    pairs = sum(x * (x - 1) for x in times.values()) / (m * (m - 1)) if m > 1 else 0.0
    return [float(m > 1), pairs, *(float(times[c]) if m > 1 else 0.0 for c in range(n)), 1.0, *(times[c] / m for c in range(n))]


def _fleiss(sums: Sums, values: Sequence[float]) -> float:
    times = sums[2 : 2 + len(values)]
    if not sums[0]:
        return math.nan
    chance = sum((x / sum(times)) ** 2 for x in times)
    return (sums[1] / sums[0] - chance) / (1 - chance) if max(times) < sum(times) else math.nan


def _ac1(sums: Sums, values: Sequence[float]) -> float:
    if not sums[0] or len(values) < 2:
        return math.nan
    units, shares = sums[2 + len(values)], sums[3 + len(values) :]
    chance = sum(s / units * (1 - s / units) for s in shares) / (len(values) - 1)
    return (sums[1] / sums[0] - chance) / (1 - chance)


# name: (sums of one unit, the coefficient from their total)
COEFFICIENTS: dict[str, tuple[Callable[[Sequence[int], Sequence[float]], list[float]],
                              Callable[[Sums, Sequence[float]], float]]] = {
    "alpha_nominal": (_same, _nominal),
    "alpha_ordinal": (_coincidences, _ordinal),
    "alpha_interval": (_moments, _interval),
    "cohen": (_table, _cohen),
    "fleiss": (_shares, _fleiss),
    "ac1": (_shares, _ac1),
}
