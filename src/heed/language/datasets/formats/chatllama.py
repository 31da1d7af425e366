"""ChatLLaMA's scored answers: {user_input, completion, score}, the score from 0 to 5."""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import rating
from heed.language.datasets.row import Row
from heed.records import Message, Rating

TITLE = "ChatLLaMA scores"
SHAPES = (("user_input", "completion", "score"),)
LOW, HIGH = 0.0, 5.0


def matches(values: Mapping[str, Any]) -> bool:
    """`user_input` is nobody else's word."""
    return "user_input" in values


def read(row: Row) -> Iterator[Rating]:
    """One rating."""
    score = row.number("score")
    if not LOW <= score <= HIGH:
        raise row.wrong("score", f"from {LOW:g} to {HIGH:g}")
    prompt = row.prompt([Message("user", row.text("user_input"))], row.rest("user_input", "completion", "score"))
    yield rating(prompt, row.text("completion"), {"overall": score}, LOW, HIGH)
