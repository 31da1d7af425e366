"""heed's own shape for a ranking of K completions, one answer a row, as feedback is exported.

    {prompt, completions: [K texts], ranks: [K whole numbers, the best is lowest, equal is a tie],
     group_id, completion_ids, made_by: [K], comparison_id, prompt_id, columns: {}, split, labeler, strength, weight}

Only the first three are needed; ids that are given are kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.formats.trl import part
from heed.language.datasets.row import Row
from heed.records import Prompt, Ranking

TITLE = "ranked groups"
SHAPES = (("prompt", "completions", "ranks"),)
IDS = ("group_id", "completion_ids", "comparison_id", "prompt_id")
USED = ("prompt", "completions", "ranks", "columns", "labeler", "made_by", "strength", "weight", *IDS)


def matches(values: Mapping[str, Any]) -> bool:
    """A prompt with several completions and their ranks."""
    return all(column in values for column in SHAPES[0])


def read(row: Row) -> Iterator[Ranking]:
    """One ranking of K."""
    texts = row.texts("completions")
    ranks = [row.whole(f"ranks.{i}") for i in range(one_each(row, "ranks", texts))]
    made_by = row.get("made_by", None) or "unknown"
    if isinstance(made_by, list):
        made_by = [row.name(f"made_by.{i}") for i in range(one_each(row, "made_by", texts))]
    found = ranking(
        prompt(row),
        texts,
        ranks,
        labeler=row.name("labeler"),
        made_by=made_by if isinstance(made_by, list) else [str(made_by)] * len(texts),
        strength=row.number("strength") if row.get("strength", None) is not None else None,
    )
    yield with_ids(row, found)


def one_each(row: Row, key: str, texts: list[str]) -> int:
    """The length of the list at `key`, which has one entry a completion."""
    if len(row.items(key)) != len(texts) or len(texts) < 2:
        raise row.wrong(key, f"as many entries as there are completions ({len(texts)}), two or more")
    return len(texts)


def prompt(row: Row) -> Prompt:
    """The prompt with its columns: those under `columns`, or whatever else stands in the row."""
    columns = row.get("columns", None)
    if columns is not None and not isinstance(columns, Mapping):
        raise row.wrong("columns", "an object")
    made = row.prompt(part(row, "prompt"), row.rest(*USED) if columns is None else columns)
    return replace(made, id=row.name("prompt_id", made.id))


def with_ids(row: Row, found: Ranking) -> Ranking:
    """The ranking under the ids that the row gives."""
    shown = found.comparison.candidates
    ids = [c.id for c in shown]
    if row.get("completion_ids", None) is not None:
        one_each(row, "completion_ids", list(found.completions))
        ids = row.texts("completion_ids")
        if len(set(ids)) < len(ids):
            raise row.wrong("completion_ids", "a different id for each completion")
    comparison = replace(
        found.comparison,
        candidates=tuple(replace(c, id=i) for c, i in zip(shown, ids, strict=True)),
        id=row.name("comparison_id", found.comparison.id),
    )
    judgement = replace(
        found.judgement,
        comparison_id=comparison.id,
        ranks=dict(zip(ids, found.ranks, strict=True)),
        id=row.name("group_id", found.judgement.id),
    )
    return Ranking(comparison, judgement)
