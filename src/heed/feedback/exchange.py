"""Rankings to and from files, one answer a row and whole: the form to train on and to pass on.

    {"group_id", "prompt": str | [{"role", "content"}], "completions": [K], "ranks": [K], "completion_ids": [K],
     "made_by": [K], "comparison_id", "prompt_id", "columns": {}, "split", "labeler", "strength", "weight"}

Only prompt, completions and ranks are needed to read a file; the rest is derived where it is missing.  Ranks: 1 is best,
equal is tied.  `weight` = 1 / (lines of the same prompt in the file), for trainers in which every prompt should count the
same.  Tokens and log-probabilities stay in the store.  Writing a store's rankings, adding what is read to another store
and writing again gives the same bytes.  Any text survives, but for two half surrogates side by side, which JSON takes for
one character.

A file is .jsonl or .parquet; whatever reads files reads a `datasets.Dataset` too, and `heed.feedback.parquet.to_dataset`
makes one of `group_rows`.  TRL's pairs are in `heed.feedback.pairs`, HH transcripts in `heed.feedback.transcripts`,
demonstrations and ratings in `heed.feedback.singles`.
"""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from heed.errors import UserError, nearest
from heed.feedback import parquet
from heed.feedback.rows import SPLITS, check_judgement, dense
from heed.protocols import Store
from heed.records import Candidate, Comparison, Judgement, Message, Prompt, Ranking, content_id, split_of

SUFFIXES = (".jsonl", ".parquet")
NEEDED = ("prompt", "completions", "ranks")
DERIVED = ("group_id", "completion_ids", "made_by", "comparison_id", "prompt_id", "columns", "split", "labeler",
           "strength", "weight")


EXPECTED = f"{', '.join(NEEDED)}; and where they are known {', '.join(DERIVED)}"
Source = str | Path | Iterable[Mapping[str, Any]]  # a file, or rows such as those of a datasets.Dataset


def write_groups(rankings: Iterable[Ranking], path: str | Path) -> int:
    """Write them in their order; returns how many."""
    return write_rows(group_rows(rankings), path)


def group_rows(rankings: Iterable[Ranking]) -> Iterator[dict[str, Any]]:
    """The rows of `write_groups`."""
    rankings = list(rankings)
    of_prompt = Counter(r.prompt.id for r in rankings)
    yield from ({
        "group_id": r.judgement.id,
        "prompt": r.prompt.trl(),
        "completions": list(r.completions),
        "ranks": list(r.ranks),
        "completion_ids": [c.id for c in r.comparison.candidates],
        "made_by": [c.made_by for c in r.comparison.candidates],
        "comparison_id": r.comparison.id,
        "prompt_id": r.prompt.id,
        "columns": dict(r.prompt.columns),
        "split": r.prompt.split,
        "labeler": r.judgement.labeler,
        "strength": None if r.judgement.strength is None else float(r.judgement.strength),
        "weight": 1 / of_prompt[r.prompt.id],
    } for r in rankings)


def read_groups(source: Source) -> list[Ranking]:
    """The rankings of a file of groups, or of rows.  Raises UserError with the place of the first row that is wrong."""
    rankings, lines, times = [], {}, Counter()
    for where, row in read_rows(source):
        try:
            ranking = _ranking(row, times)
        except UserError as error:
            raise UserError(f"{where}: {error} [expected {EXPECTED}]") from None
        id = ranking.judgement.id
        if id in lines:
            raise UserError(f"{where}: group_id {id!r} was already at {lines[id]}")
        lines[id] = where
        rankings.append(ranking)
    return rankings


def add_rankings(store: Store, rankings: Iterable[Ranking]) -> None:
    """Add comparisons and answers in one step; an answer that the store already has is left out with its comparison."""
    there = {j.id for j in store.judgements()}
    store.add([record for r in rankings if r.judgement.id not in there for record in (r.comparison, r.judgement)])


def write_rows(rows: Iterable[Mapping[str, Any]], path: str | Path) -> int:
    """A .jsonl or .parquet file that is there as a whole or not at all; returns the number of rows."""
    path = Path(path)
    _known(path)
    return parquet.write(rows, path) if path.suffix == ".parquet" else write_lines(rows, path)


def read_rows(source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, values) of every row: "file:line" in a .jsonl file, "file, row n" in a .parquet file, "row n" elsewhere."""
    if not isinstance(source, str | Path):
        for n, row in enumerate(source, start=1):
            if not isinstance(row, Mapping):
                raise UserError(f"row {n}: expected an object, found {type(row).__name__}")
            yield f"row {n}", parquet.unfolded(row, f"row {n}")
        return
    path = Path(source)
    _known(path)
    if path.suffix == ".parquet":
        _there(path)
        yield from parquet.read(path)
    else:
        yield from read_lines(path)


def write_lines(rows: Iterable[Mapping[str, Any]], path: str | Path) -> int:
    """A jsonl file that is there as a whole or not at all; returns the number of rows."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    n = 0
    with part.open("wb") as file:
        for row in rows:
            file.write(_line(row) + b"\n")
            n += 1
    os.replace(part, path)
    return n


def read_lines(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """("file:line", object) for every line of a jsonl file that is not blank."""
    path = Path(path)
    _there(path)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{where} is not valid JSON: {error}") from None
            if not isinstance(row, dict):
                raise UserError(f"{where}: expected an object, found {type(row).__name__}")
            yield where, row


def needed(row: Mapping[str, Any], key: str, kind: type | tuple[type, ...], example: str) -> Any:
    """`row[key]`, or a UserError that names the nearest key or what was expected."""
    if key not in row:
        raise UserError(f"no {key!r}{nearest(key, row)}")
    if not isinstance(row[key], kind):
        raise UserError(f"{key} = {row[key]!r:.60}: expected {example}")
    return row[key]


def content_of(value: Any, key: str) -> str | tuple[Message, ...]:
    """A text or turns, as TRL writes them."""
    if isinstance(value, str):
        return value
    turns = value if isinstance(value, list) else [None]
    if not turns or not all(isinstance(t, dict) and isinstance(t.get("role"), str) and isinstance(t.get("content"), str)
                            for t in turns):
        raise UserError(f'{key} = {value!r:.60}: expected a text or a list of {{"role", "content"}}')
    return tuple(Message(t["role"], t["content"]) for t in turns)


def prompt_of(row: Mapping[str, Any]) -> Prompt:
    """From `prompt`, with `prompt_id`, `columns` and `split` where they are given."""
    columns = row.get("columns", {})
    if not isinstance(columns, dict):
        raise UserError(f"columns = {columns!r:.60}: expected an object")
    prompt = Prompt(content_of(needed(row, "prompt", (str, list), "a text or turns"), "prompt"), columns,
                    id=text_of(row, "prompt_id", ""))
    split = text_of(row, "split", split_of(prompt.id))
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}{nearest(split, SPLITS)}")
    return Prompt(prompt.content, columns, split, prompt.id)


def text_of(row: Mapping[str, Any], key: str, otherwise: str) -> str:
    """`row[key]`, `otherwise` where it is missing; an empty text only where that is empty too."""
    value = row.get(key, otherwise)
    if not isinstance(value, str) or (not value and otherwise):
        raise UserError(f"{key} = {value!r:.60}: expected a text")
    return value


def number_of(row: Mapping[str, Any], key: str) -> float | None:
    """`row[key]`, a finite number; None where it is missing or null."""
    value = row.get(key)
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (OverflowError, TypeError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{key} = {value!r:.60}: expected a number or null")
    return number


def _known(path: Path) -> None:
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: expected a name that ends with {' or '.join(SUFFIXES)}{nearest(path.suffix, SUFFIXES)}")


def _there(path: Path) -> None:
    if not path.is_file():
        beside = [p.name for p in path.parent.glob(f"*{path.suffix}")] if path.parent.is_dir() else []
        raise UserError(f"no file at {path}{nearest(path.name, beside)}")


def _line(row: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # Half a surrogate pair can only be written as an escape; reading joins two halves that stand side by side.
        joined = json.loads(json.dumps(row))
    try:
        return json.dumps(joined, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(joined).encode()


def _ranking(row: Mapping[str, Any], times: Counter) -> Ranking:
    for key in row:
        if key not in NEEDED + DERIVED and nearest(key, NEEDED + DERIVED).startswith("; did"):
            raise UserError(f"unknown key {key!r}{nearest(key, NEEDED + DERIVED)}")
    prompt = prompt_of(row)
    texts = _texts(row, "completions")
    ranks = needed(row, "ranks", list, "a list of ranks, 1 for the best")
    if len(texts) < 2 or len(ranks) != len(texts):
        raise UserError(f"{len(ranks)} ranks for {len(texts)} completions; expected as many, and at least 2")
    ids = _texts(row, "completion_ids", [content_id("completion", prompt.id, str(i), t) for i, t in enumerate(texts)])
    makers = _texts(row, "made_by", ["unknown"] * len(texts))
    if len(set(ids)) != len(texts) or len(makers) != len(texts):
        raise UserError(f"expected {len(texts)} different completion_ids and {len(texts)} made_by")
    times[tuple(ids)] += 1
    again = [str(times[tuple(ids)])] if times[tuple(ids)] > 1 else []  # the same asked twice, where no id tells them apart
    comparison_id = text_of(row, "comparison_id", content_id("comparison", *ids, *again))
    labeler = text_of(row, "labeler", "imported")
    strength = number_of(row, "strength")
    judgement = Judgement(comparison_id, labeler, dict(zip(ids, ranks, strict=True)), strength=strength,
                          id=text_of(row, "group_id", content_id("judgement", labeler, comparison_id)))
    check_judgement(judgement)
    dense(judgement, ids)
    candidates = tuple(Candidate(t, maker, id=i) for t, maker, i in zip(texts, makers, ids, strict=True))
    return Ranking(Comparison(prompt, candidates, comparison_id), judgement)


def _texts(row: Mapping[str, Any], key: str, otherwise: list[str] | None = None) -> list[str]:
    values = needed(row if otherwise is None else {key: otherwise, **row}, key, list, "a list of texts")
    if wrong := [v for v in values if not isinstance(v, str)]:
        raise UserError(f"{key} holds {wrong[0]!r:.60}: expected texts")
    return values
