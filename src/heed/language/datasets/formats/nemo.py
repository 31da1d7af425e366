"""NeMo-RL's preference rows: K completions of one context, the lower rank preferred.

{"context": [{role, content}, ...], "completions": [{"rank": 0, "completion": [{role, content}]}, ...]}
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.formats.trl import part, reply
from heed.language.datasets.row import Row
from heed.records import Ranking

TITLE = "NeMo-RL preferences"
SHAPES = (("context", "completions"),)


def matches(values: Mapping[str, Any]) -> bool:
    """A context with completions."""
    return all(column in values for column in SHAPES[0])


def read(row: Row) -> Iterator[Ranking]:
    """One ranking of K."""
    shown = range(len(row.items("completions")))
    if len(shown) < 2:
        raise row.wrong("completions", "a list of two or more")
    texts = [reply(part(row, f"completions.{i}.completion")) for i in shown]
    ranks = [row.whole(f"completions.{i}.rank") for i in shown]
    yield ranking(row.prompt(part(row, "context"), row.rest("context", "completions")), texts, ranks)
