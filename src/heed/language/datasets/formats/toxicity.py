"""RealToxicityPrompts (Gehman et al. 2020): the halves of sentences from the web, with Perspective scores.

{prompt: {text, toxicity, ...}, continuation: {text, toxicity, ...}, challenging}   -> prompt, text
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.row import Row
from heed.records import Prompt, Text

TITLE = "RealToxicityPrompts"
SHAPES = (("prompt", "continuation"),)


def matches(values: Mapping[str, Any]) -> bool:
    """A prompt object beside its continuation."""
    return isinstance(values.get("prompt"), Mapping) and "continuation" in values


def read(row: Row) -> Iterator[Prompt | Text]:
    """The first half as a prompt, both halves as a text."""
    opening = row.text("prompt.text")
    columns = {"toxicity": row.get("prompt.toxicity", None), "challenging": row.get("challenging", None)}
    yield row.prompt(opening, columns)
    yield row.document(opening + row.text("continuation.text"))
