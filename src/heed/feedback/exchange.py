"""Rankings to and from jsonl files, one answer a line and whole: the form to train on and to pass on.

    {"group_id", "prompt": str | [{"role", "content"}], "completions": [K], "ranks": [K], "completion_ids": [K],
     "made_by": [K], "comparison_id", "prompt_id", "columns": {}, "split", "labeler", "strength", "weight"}

Only prompt, completions and ranks are needed to read a file; the rest is derived where it is missing.  Ranks: 1 is best,
equal is tied.  `weight` = 1 / (lines of the same prompt in the file), for trainers in which every prompt should count the
same.  Tokens and log-probabilities stay in the store.  Writing a store's rankings, adding what is read to another store
and writing again gives the same bytes.  Any text survives, but for two half surrogates side by side, which JSON takes for
one character.  TRL's pairs are in `heed.feedback.pairs`.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from heed.errors import UserError, nearest
from heed.feedback.rows import SPLITS, check_judgement, dense
from heed.protocols import Store
from heed.records import Candidate, Comparison, Judgement, Message, Prompt, Ranking, content_id, split_of

NEEDED = ("prompt", "completions", "ranks")
DERIVED = ("group_id", "completion_ids", "made_by", "comparison_id", "prompt_id", "columns", "split", "labeler",
           "strength", "weight")


def write_groups(rankings: Iterable[Ranking], path: str | Path) -> int:
    """Write them in their order; returns how many."""
    rankings = list(rankings)
    of_prompt = Counter(r.prompt.id for r in rankings)
    return write_lines(({
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
        "strength": r.judgement.strength,
        "weight": 1 / of_prompt[r.prompt.id],
    } for r in rankings), path)


def read_groups(path: str | Path) -> list[Ranking]:
    """The rankings of a file of groups.  Raises UserError with the line of the first row that is wrong."""
    rankings, lines, times = [], {}, Counter()
    for where, row in read_lines(path):
        try:
            ranking = _ranking(row, times)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
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
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.jsonl")] if path.parent.is_dir() else []
        raise UserError(f"no file at {path}{nearest(path.name, beside)}")
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
    prompt = _prompt(row)
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
    comparison_id = _text(row, "comparison_id", content_id("comparison", *ids, *again))
    labeler = _text(row, "labeler", "imported")
    strength = row.get("strength")
    if isinstance(strength, bool) or not isinstance(strength, int | float | None):
        raise UserError(f"strength = {strength!r:.60}: expected a number or null")
    judgement = Judgement(comparison_id, labeler, dict(zip(ids, ranks, strict=True)), strength=strength,
                          id=_text(row, "group_id", content_id("judgement", labeler, comparison_id)))
    check_judgement(judgement)
    dense(judgement, ids)
    candidates = tuple(Candidate(t, maker, id=i) for t, maker, i in zip(texts, makers, ids, strict=True))
    return Ranking(Comparison(prompt, candidates, comparison_id), judgement)


def _prompt(row: Mapping[str, Any]) -> Prompt:
    for key in row:
        if key not in NEEDED + DERIVED and nearest(key, NEEDED + DERIVED).startswith("; did"):
            raise UserError(f"unknown key {key!r}{nearest(key, NEEDED + DERIVED)}")
    columns = row.get("columns", {})
    if not isinstance(columns, dict):
        raise UserError(f"columns = {columns!r:.60}: expected an object")
    prompt = Prompt(content_of(needed(row, "prompt", (str, list), "a text or turns"), "prompt"), columns,
                    id=_text(row, "prompt_id", ""))
    split = _text(row, "split", split_of(prompt.id))
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}{nearest(split, SPLITS)}")
    return Prompt(prompt.content, columns, split, prompt.id)


def _text(row: Mapping[str, Any], key: str, otherwise: str) -> str:
    value = row.get(key, otherwise)
    if not isinstance(value, str) or (not value and otherwise):
        raise UserError(f"{key} = {value!r:.60}: expected a text")
    return value


def _texts(row: Mapping[str, Any], key: str, otherwise: list[str] | None = None) -> list[str]:
    values = needed(row if otherwise is None else {key: otherwise, **row}, key, list, "a list of texts")
    if wrong := [v for v in values if not isinstance(v, str)]:
        raise UserError(f"{key} holds {wrong[0]!r:.60}: expected texts")
    return values
