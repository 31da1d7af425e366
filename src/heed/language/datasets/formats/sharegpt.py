"""ShareGPT conversations, and LLaMA-Factory's preferences over their next turn.

{conversations: [{from: human | gpt | system, value}, ...]}                 -> a demonstration for every answer
{conversations: [...], chosen: {from, value}, rejected: {from, value}}      -> ranking
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import demonstrations, message, messages, ranking
from heed.language.datasets.row import Row
from heed.records import Demonstration, Message, Ranking

TITLE = "ShareGPT conversations"
SHAPES = (("conversations", "chosen", "rejected"), ("conversations",))


def matches(values: Mapping[str, Any]) -> bool:
    """Anything with conversations."""
    return "conversations" in values


def read(row: Row) -> Iterator[Demonstration | Ranking]:
    """A demonstration for each answer, or one ranking of two."""
    turns = messages(row, "conversations")
    if row.get("system", None):
        turns = (Message("system", row.text("system")), *turns)
    columns = row.rest("conversations", "chosen", "rejected", "system")
    if "chosen" not in row.values:
        yield from demonstrations(row, turns, columns)
        return
    replies = [message(row, key, row.get(key)).content for key in ("chosen", "rejected")]
    yield ranking(row.prompt(turns, columns), replies, [1, 2])
