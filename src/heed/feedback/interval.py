"""A figure with its 95 % interval, in plain Python: the labelling service runs without numpy.

Answers to one prompt resemble each other, so prompts are drawn again and not answers (cluster bootstrap, Field and Welsh
2007).  Every figure here is a function of sums over prompts, so that drawing again is adding again.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import add

RESAMPLES = 500
PARTS = 200  # prompts are dealt onto at most so many piles: the width stays, the work does not grow


@dataclass(frozen=True)
class Figure:
    """`value` with its 95 % interval from `n` prompts; low and high are None where the data cannot say."""

    value: float  # NaN where there is nothing to measure
    low: float | None
    high: float | None
    n: int


def figure(rows: Iterable[tuple[str, Sequence[float]]], of: Callable[[Sequence[float]], float], seed: int = 0) -> Figure:
    """`of` the total of `rows`, each (prompt id, numbers to be added), with its interval."""
    place: dict[str, int] = {}
    parts: list[list[float]] = []
    for id, row in rows:
        i = place.setdefault(id, len(place)) % PARTS
        if i == len(parts):
            parts.append(list(row))
        else:
            parts[i] = list(map(add, parts[i], row))
    if not parts:
        return Figure(math.nan, None, None, 0)
    value, dice = of(added(parts)), random.Random(seed)
    if len(parts) < 2 or math.isnan(value):
        return Figure(value, None, None, len(place))
    drawn = [of(added(dice.choices(parts, k=len(parts)))) for _ in range(RESAMPLES)]
    drawn = sorted(x for x in drawn if not math.isnan(x))
    if len(drawn) < RESAMPLES / 2:
        return Figure(value, None, None, len(place))
    return Figure(value, _quantile(drawn, 0.025), _quantile(drawn, 0.975), len(place))


def added(rows: Sequence[Sequence[float]]) -> list[float]:
    """The sum of rows of one length."""
    return [sum(column) for column in zip(*rows, strict=True)]


def _quantile(values: Sequence[float], q: float) -> float:
    at = q * (len(values) - 1)
    low = math.floor(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (at - low) * (values[high] - values[low])
