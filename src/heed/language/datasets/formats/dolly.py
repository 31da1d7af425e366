"""Databricks Dolly (Conover et al. 2023): instructions and answers that employees wrote.

{instruction, context, response, category}; a copy without context calls the answer `text`
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.formats.alpaca import answered
from heed.language.datasets.row import Row
from heed.records import Demonstration, Message

TITLE = "Dolly instructions"
SHAPES = (("instruction", "response"), ("instruction", "text"))


def matches(values: Mapping[str, Any]) -> bool:
    """An instruction with a response that is not Alpaca's output."""
    return "instruction" in values and ("response" in values or "text" in values) and "output" not in values


def read(row: Row) -> Iterator[Demonstration]:
    """One demonstration."""
    answer = "response" if "response" in row.values else "text"
    instruction, context = row.text("instruction"), row.text("context", None)
    question = f"{instruction}\n\n{context}" if context and context.strip() else instruction
    prompt = row.prompt([Message("user", question)], row.rest("instruction", "context", answer))
    # Without Dolly's category it is only a shape that many files share, and nobody says who wrote the answers.
    yield answered(prompt, row.text(answer), "human" if "category" in row.values else "unknown")
