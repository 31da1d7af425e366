"""TL;DR posts as ready-made queries, with a reference summary (Huang et al. 2024) or a pair of summaries.

{query, reference_response | reference_responses}     -> demonstration
{query, chosen, rejected}                             -> ranking
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.formats.alpaca import answered
from heed.language.datasets.row import Row
from heed.records import Demonstration, Ranking

TITLE = "TL;DR queries"
SHAPES = (("query", "chosen", "rejected"), ("query", "reference_response"), ("query", "reference_responses"))
END = "<|endoftext|>"


def matches(values: Mapping[str, Any]) -> bool:
    """A query with what answers it."""
    return any(all(column in values for column in shape) for shape in SHAPES)


def read(row: Row) -> Iterator[Demonstration | Ranking]:
    """One demonstration, or one ranking of two."""
    query = row.text("query")
    if "chosen" in row.values:
        made_by = [row.name("chosen_policy"), row.name("rejected_policy")]
        texts = [row.text(key).removesuffix(END) for key in ("chosen", "rejected")]
        yield ranking(row.prompt(query, {}), texts, [1, 2], made_by=made_by)
        return
    key = "reference_response" if "reference_response" in row.values else "reference_responses"
    yield answered(row.prompt(query, row.rest("query", key)), row.text(key).removesuffix(END), "human")
