"""A source, read part by part: which format each file is in, and its rows as records."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, islice
from pathlib import Path
from typing import Any

from heed.errors import UserError, nearest
from heed.language.datasets import files, hub
from heed.language.datasets.files import Place
from heed.language.datasets.formats import FORMATS, format_module
from heed.language.datasets.row import Row, Skip
from heed.language.datasets.source import NAMED, Source, is_hub_name
from heed.language.datasets.splits import SplitRule, named_split
from heed.records import Record

log = logging.getLogger(__name__)

LOOK = 20  # rows looked at to tell the format


class UnknownFormat(UserError):
    """The columns of a file are none that heed knows."""


@dataclass(frozen=True)
class Part:
    """One file, or one split of a hub dataset."""

    name: str
    places: Iterable[Place]
    rule: SplitRule


def parts(source: Source) -> list[Part]:
    """The parts of a source of files or a hub name, with the split that each one's name says."""
    path = Path(source.name)
    if not path.exists() and not is_hub_name(source.name):
        around = [p.name for p in path.parent.iterdir() if files.kind_of(p)] if path.parent.is_dir() else []
        hint = nearest(path.name, [*around, *NAMED])
        raise UserError(f"no dataset, file or folder {source.name!r}{hint if len(hint) < 200 else ''}")
    if path.exists() or not is_hub_name(source.name):
        # Only the names below the folder count: /data/test/pairs.jsonl handed in by itself says nothing of its split.
        named = {p: p.relative_to(path).as_posix() if path.is_dir() else p.name for p in files.find(path)}
        said = {str(p): named_split(name) for p, name in named.items()}
        found = {str(p): files.rows(p, whole=path.is_file() and said[str(p)] in (None, "train")) for p in named}
    else:
        found = {f"{source.name}, {split}": rows for split, rows in hub.parts(source.name).items()}
        said = {n: named_split(n.split(", ")[-1]) for n in found}
    if source.split:
        forced = None if source.split == "hash" else source.split
        return [Part(n, rows, SplitRule(forced, forced=True)) for n, rows in found.items()]
    splits = set(said.values())
    if splits <= {"train", None}:  # one training file and nothing to hold against it: divided by a hash of the prompt
        return [Part(n, rows, SplitRule()) for n, rows in found.items()]
    carve = "valid" not in splits
    return [Part(n, rows, SplitRule(said[n], carve)) for n, rows in found.items()]


@dataclass(frozen=True)
class Reading:
    """A part whose format is known.  `outcomes` holds records, and what became of the other rows."""

    part: Part
    title: str  # the format, with the columns that gave it away
    outcomes: Iterator[tuple[str, "Record | UserError | Skip"]]  # each with the place of its row


def read(part: Part, source: Source) -> Reading:
    """Tell the format from the first rows (unless the source forces one) and set up the reading of all of them."""
    found = (located(part, place, values, source.rename) for place, values in part.places)
    first = list(islice(found, LOOK))
    known = [row.values for row in first if isinstance(row, Row)]
    if not known:
        raise next((e for e in first if isinstance(e, UserError)), UserError(f"{part.name}: no rows"))
    try:
        name = source.format or detect(known)
    except UserError as error:
        raise UnknownFormat(f"{part.name}: {error}") from None
    return Reading(part, title(name, known), outcomes(chain(first, found), name))


def readings(source: Source) -> Iterator[Reading]:
    """Every part of a source; of several files, those in no known format are named in the log and passed over."""
    found = parts(source)
    unknown: list[UnknownFormat] = []
    for part in found:
        try:
            yield read(part, source)
        except UnknownFormat as error:
            unknown.append(error)
    if len(unknown) == len(found):
        raise unknown[0]
    for error in unknown:
        log.warning("passed over %s", error)


def located(part: Part, place: str, values: Any, rename: Mapping[str, str]) -> Row | UserError:
    """The row with its place, its columns renamed."""
    if isinstance(values, UserError):
        return values
    where = f"{part.name}, {place}"
    if isinstance(values, str):  # a list of plain texts is a list of documents
        values = {"text": values}
    if not isinstance(values, Mapping):
        return UserError(f"{where}: a row should be an object with named columns, not a {type(values).__name__}")
    absent = [there for there in rename if there not in values]
    if absent:
        return UserError(f"{where}: no column {absent[0]!r} to rename; columns: {', '.join(values)}")
    if rename:
        values = {rename.get(k, k): v for k, v in values.items() if k in rename or k not in rename.values()}
    return Row(values, where, part.rule)


def outcomes(rows: Iterable[Row | UserError], name: str) -> Iterator[tuple[str, Record | UserError | Skip]]:
    """What became of every row: its records, or why it has none."""
    module = format_module(name)
    for row in module.gather(rows) if hasattr(module, "gather") else rows:
        if isinstance(row, UserError):
            yield "", row
            continue
        try:
            for record in module.read(row):
                yield row.place, record
        except Skip as skipped:
            yield row.place, skipped
        except UserError as error:
            yield row.place, with_columns(error, name)


def with_columns(error: UserError, name: str) -> UserError:
    """The error of a row, with the columns of the format it was read as."""
    return UserError(f"{error} [{format_module(name).TITLE}: {shapes(name)}]")


def title(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """`Anthropic HH transcripts (chosen/rejected)`."""
    module = format_module(name)
    shape = next((s for row in rows for s in module.SHAPES if all(column in row for column in s)), ())
    return f"{module.TITLE} ({'/'.join(shape)})" if shape else module.TITLE


def shapes(name: str) -> str:
    """The columns of a format, its variants apart by a bar."""
    return " | ".join(", ".join(columns) for columns in format_module(name).SHAPES)


def detect(rows: Sequence[Mapping[str, Any]]) -> str:
    """The format of rows, told from their columns: the first in the table that most of them match.

    Raises UserError, with the nearest format's columns, when most match none.
    """
    votes = Counter(next((n for n in FORMATS if format_module(n).matches(row)), "") for row in rows)
    name, count = max(votes.items(), key=lambda item: (item[0] != "" and item[1] * 2 >= len(rows), item[1]))
    if name and count:
        return name
    raise no_format(rows[0])


def no_format(row: Mapping[str, Any]) -> UserError:
    """What the columns are, and the format that comes nearest."""

    lower = {column.lower(): column for column in map(str, row)}

    def like(column: str) -> str | None:
        close = get_close_matches(column, lower, n=1, cutoff=0.75)
        return lower[close[0]] if close else None

    shaped = [(columns, format_module(n).TITLE) for n in FORMATS for columns in format_module(n).SHAPES]
    found = {columns: sum(like(c) is not None for c in columns) for columns, _ in shaped}
    columns, name = max(shaped, key=lambda s: 3 * found[s[0]] - len(s[0]))  # two that are there outweigh one missing
    if not found[columns]:
        columns, name = format_module("trl").SHAPES[0], format_module("trl").TITLE
    absent = [c for c in columns if c not in row]
    rename = f"?{absent[0]}={like(absent[0]) or '<its name>'}" if absent else "?format=<its name>"
    return UserError(
        f"no format that heed knows has the columns {', '.join(map(repr, row)) or '(none)'}. Nearest: {name} "
        f"({', '.join(columns)}); missing: {', '.join(absent) or 'nothing, but a value of another kind'}; "
        f"a column of another name is given as {rename}"
    )
