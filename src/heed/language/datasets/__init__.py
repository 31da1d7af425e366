"""Datasets: `load("pairs.jsonl", Ranking)`.

A source is the embedded dataset (`seal_bay`, `seal_bay:7`), a file or a folder, or a hub name; the format is told from the
columns.  `describe` says in one line what was found, so that a wrong guess is seen at once.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
from typing import Any

from heed.errors import UserError, nearest
from heed.language.datasets.formats import FORMATS
from heed.language.datasets.kinds import convert
from heed.language.datasets.reading import Reading, detect, readings
from heed.language.datasets.row import Skip
from heed.language.datasets.source import NAMED, SPLITS, Source, parse
from heed.records import Demonstration, Prompt, Ranking, Rating, Record, Text

__all__ = ["FORMATS", "NAMED", "describe", "detect", "load"]

log = logging.getLogger(__name__)

WANTED: tuple[type, ...] = (Text, Prompt, Demonstration, Ranking, Rating)


def load(source: str, want: type, split: str | None = "train", limit: int | None = None) -> list[Any]:
    """The records of kind `want` (Text, Prompt, Demonstration, Ranking or Rating) of one split, or of all for None.

    A valid or test split that no record fell into is an empty list, with a line in the log.  Raises UserError for a
    source that is not there, a broken or unknown file, a wrong row (file, line and key are named), for a source that
    holds no such kind, and for one that has nothing to train on.
    """
    if want not in WANTED:
        raise UserError(f"a dataset is read as one of {', '.join(k.__name__ for k in WANTED)}, not {want!r}")
    if split is not None and split not in SPLITS[:3]:
        raise UserError(f"unknown split {split!r}{nearest(str(split), SPLITS[:3])}")
    if limit is not None and limit < 1:
        raise UserError(f"a limit should be 1 or more, not {limit}")
    parsed = parse(source)
    embedded = named(parsed)
    if embedded:
        return embedded(want, split, limit)
    found: list[Any] = []
    count = Count()
    for reading in readings(parsed):
        room = None if limit is None else limit - len(found)
        found += islice(convert(count.records(reading, split), want, parsed.opening), room)
        if len(found) == limit:
            break
    else:
        if split in (None, "train"):
            worth_learning(found, source)
    if not found:
        nothing = count.nothing(source, want, split)
        if split in (None, "train") or not count.elsewhere(split):
            raise nothing
        log.warning("%s", nothing)
    for reason, rows in count.skipped.items():
        log.warning("%s: %d rows left out: %s", source, rows, reason)
    return found


def named(source: Source) -> Callable[[type, str | None, int | None], list[Any]] | None:
    """The loader of an embedded dataset (`seal_bay`, or `seal_bay:7` for the world of seed 7)."""
    name, colon, seed = source.name.partition(":")
    if name not in NAMED:
        return None
    if source != Source(source.name):
        raise UserError(f"{name} is embedded in heed: it takes no options behind a question mark")
    if colon and not seed.isdigit():
        raise UserError(f"{source.name}: after the colon there should be a world seed, a whole number")
    module = import_module(NAMED[name])
    return lambda want, split, limit: module.load(want, split, seed=int(seed or 0), limit=limit)


class Count:
    """What went by while reading: kinds, splits and skipped rows, for the one line at the end."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.splits: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.formats: list[str] = []

    def records(self, reading: Reading, split: str | None) -> Iterator[Record]:
        """The records of a reading that belong to `split`; raises for the first wrong row."""
        if reading.title not in self.formats:
            self.formats.append(reading.title)
        for _, outcome in reading.outcomes:
            if isinstance(outcome, UserError):
                raise outcome
            if isinstance(outcome, Skip):
                self.skipped[str(outcome)] += 1
                continue
            self.kinds[type(outcome).__name__] += 1
            own = split_of_record(outcome)
            if own:
                self.splits[own] += 1
            if split is None or own is None or own == split:
                yield outcome

    def elsewhere(self, split: str | None) -> bool:
        """Whether all that the source holds is in other splits."""
        return split is not None and bool(self.splits) and not self.splits[split]

    def nothing(self, source: str, want: type, split: str | None) -> UserError:
        """Why a source gave nothing: it is another kind, another split, or all of its rows were left out."""
        found = f"{source} ({'; '.join(self.formats)})"
        if not self.kinds:
            reasons = "; ".join(f"{rows} x {reason}" for reason, rows in self.skipped.items())
            return UserError(f"{found}: no row that could be used ({reasons})")
        if self.elsewhere(split):
            there = ", ".join(f"{name} {n:,}" for name, n in sorted(self.splits.items()))
            return UserError(
                f"{found}: nothing in the split {split!r}; there: {there}. "
                f"Ask for one of those, or put ?split=hash behind the source to divide it by a hash of the prompt"
            )
        kinds = " and ".join(plural(kind) for kind in self.kinds)
        return UserError(f"{found}: holds {kinds}, which cannot be read as {plural(want.__name__)}")


def split_of_record(record: Record) -> str | None:
    """A text's or its prompt's split; None for a judgement, whose comparison says it."""
    if isinstance(record, Text | Prompt):
        return record.split
    if isinstance(record, Ranking):
        return record.comparison.prompt.split
    return getattr(getattr(record, "prompt", None), "split", None)


def worth_learning(records: list[Any], source: str) -> None:
    """UserError where nothing can be learned: no answer prefers anything, or every label is the same."""
    rankings = [r for r in records if isinstance(r, Ranking)]
    if rankings and all(len(set(r.completions)) < 2 for r in rankings):
        raise UserError(f"{source}: chosen and rejected are the same text in every row")
    if rankings and not any(True for r in rankings for _ in r.pairs()):
        raise UserError(f"{source}: every comparison is a tie; there is no preference to learn")
    scores = [r.scores for r in records if isinstance(r, Rating)]
    if len(scores) > 1 and set(scores[0]) == {"label"} and all(s == scores[0] for s in scores):
        raise UserError(f"{source}: every label is {bool(scores[0]['label'])}; both are needed to learn from")


def describe(source: str) -> str:
    """One line for a person: the format and how many records of which kind, over all splits.

    Reads everything, as `load` does, and raises what it would.
    """
    parsed = parse(source)
    if named(parsed):
        return f"{source}: embedded in heed"
    lines: dict[str, Counter[str]] = {}
    skipped = 0
    for reading in readings(parsed):
        count = Count()
        for _ in count.records(reading, None):
            pass
        lines.setdefault(reading.title, Counter()).update(count.kinds)
        skipped += count.skipped.total()
    said = "; ".join(f"{title}, {', '.join(plural(k, n) for k, n in kinds.items())}" for title, kinds in lines.items())
    short = "/".join(parsed.name.rstrip("/").split("/")[-2:])
    return f"{short}: {said}" + (f" ({skipped:,} rows left out)" if skipped else "")


def plural(kind: str, count: int | None = None) -> str:
    """`2,312 rankings` for Ranking and 2312; only the word for None."""
    word = kind.lower() + ("" if count == 1 else "s")
    return word if count is None else f"{count:,} {word}"
