"""heed's own shape for a ranking of K completions, one comparison a row.

{prompt, completions: [K texts], ranks: [K whole numbers from 1, equal is a tie],
 labeler, completion_ids, made_by, strength, ...}     only the first three are needed
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.formats.trl import part
from heed.language.datasets.row import Row
from heed.records import Ranking

TITLE = "ranked groups"
SHAPES = (("prompt", "completions", "ranks"),)
USED = ("prompt", "completions", "ranks", "labeler", "completion_ids", "made_by", "strength", "group_id")


def matches(values: Mapping[str, Any]) -> bool:
    return all(column in values for column in SHAPES[0])


def read(row: Row) -> Iterator[Ranking]:
    texts = row.texts("completions")
    ranks = [row.whole(f"ranks.{i}") for i in range(len(items(row, "ranks", texts)))]
    made_by = row.get("made_by", None)
    if isinstance(made_by, list):
        made_by = [row.name(f"made_by.{i}") for i in range(len(items(row, "made_by", texts)))]
    yield ranking(
        row.prompt(part(row, "prompt"), row.rest(*USED)),
        texts,
        ranks,
        labeler=row.name("labeler"),
        made_by=made_by if isinstance(made_by, list) else [row.name("made_by")] * len(texts),
        strength=row.number("strength") if row.get("strength", None) is not None else None,
    )


def items(row: Row, key: str, texts: list[str]) -> list[Any]:
    """The list at `key`, which has one entry a completion."""
    values = row.items(key)
    if len(values) != len(texts) or len(texts) < 2:
        raise row.wrong(key, f"as many entries as there are completions ({len(texts)}), two or more")
    return values
