"""Questions: with a worked answer (GSM8K), or as the turns of a benchmark.

{question, answer}                      -> demonstration; `answer` stays a column for verifiers
{question_id, category, turns: [...]}   -> prompt: the first turn (MT-Bench, Vicuna, Arena-Hard)
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.formats.alpaca import answered
from heed.language.datasets.row import Row
from heed.records import Demonstration, Message, Prompt

TITLE = "questions"
SHAPES = (("question", "answer"), ("turns",))


def matches(values: Mapping[str, Any]) -> bool:
    """A question with its answer, or turns."""
    return ("question" in values and "answer" in values) or "turns" in values


def read(row: Row) -> Iterator[Demonstration | Prompt]:
    """One demonstration, or one prompt."""
    if "turns" not in row.values:
        prompt = row.prompt([Message("user", row.text("question"))], row.rest("question"))
        yield answered(prompt, row.text("answer"), "human")
        return
    row.items("turns")
    first = "turns.0.content" if isinstance(row.get("turns.0"), Mapping) else "turns.0"
    yield row.prompt([Message("user", row.text(first))], row.rest("turns"))
