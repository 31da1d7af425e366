"""Anthropic's red-team attempts (Ganguli et al. 2022): whole conversations, rated by who attacked.

    {transcript, rating: 0 (no success) .. 4 (very successful), task_description, ...}

The last answer is rated, on the scale of how much harm it did; the conversation before it is the prompt.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import rating
from heed.language.datasets.formats.hh import part, turns
from heed.language.datasets.row import Row, Skip
from heed.records import Rating

TITLE = "red-team attempts"
SHAPES = (("transcript", "rating"),)


def matches(values: Mapping[str, Any]) -> bool:
    """A rated transcript."""
    return all(column in values for column in SHAPES[0])


def read(row: Row) -> Iterator[Rating]:
    """One rating."""
    said = turns(row, "transcript")
    while said and said[-1][0] != "Assistant":
        said.pop()
    if len(said) < 2:
        raise Skip("a transcript without an answer")
    prompt, (answer,) = part([said])
    score = row.number("rating")
    if not 0 <= score <= 4:
        raise row.wrong("rating", "from 0 to 4")
    columns = row.rest("transcript", "rating", "tags")
    yield rating(row.prompt(prompt, columns), answer, {"harm": score}, 0.0, 4.0, labeler=row.name("red_team_member_id"))
