"""Instructions with answers, in the shapes that grew around Alpaca (Taori et al. 2023).

{instruction, input, output, system, history: [[user, assistant], ...]}     -> demonstration
{instruction, input, chosen, rejected}                                      -> ranking, LLaMA-Factory's
{instruction, input, output: [best, ..., worst]}                            -> ranking, LLaMA-Factory's older shape
{instruction, instances: [{input, output}, ...]}                            -> demonstrations, Self-Instruct's
{instruction}                                                               -> prompt
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.row import Row, Skip
from heed.records import Demonstration, Message, Prompt, Record

TITLE = "Alpaca instructions"
SHAPES = (
    ("instruction", "chosen", "rejected"),
    ("instruction", "output"),
    ("instruction", "instances"),
    ("instruction",),
)
USED = ("instruction", "input", "output", "system", "history", "chosen", "rejected", "instances")


def matches(values: Mapping[str, Any]) -> bool:
    """Anything that is instructed, once the particular instruction formats have passed."""
    return "instruction" in values


def read(row: Row) -> Iterator[Record]:
    """Demonstrations, a ranking or a prompt, by the columns that are there."""
    if "instances" in row.values:
        for i in range(len(row.items("instances"))):
            prompt = asked(row, row.text(f"instances.{i}.input", ""))
            yield Demonstration(prompt, row.text(f"instances.{i}.output"), "unknown")
        return
    prompt = asked(row, row.text("input", None))
    if "chosen" in row.values:
        yield ranking(prompt, [row.text("chosen"), row.text("rejected")], [1, 2])
    elif isinstance(row.get("output", ""), list):
        answers = row.texts("output")
        if len(answers) < 2:
            raise Skip("fewer than two answers to rank")
        yield ranking(prompt, answers, range(len(answers)))
    elif "output" in row.values:
        yield answered(prompt, row.text("output"))
    else:
        yield prompt


def asked(row: Row, given: str | None) -> Prompt:
    """The instruction, with its input below it, after what was said before."""
    turns = [Message("system", row.text("system"))] if row.get("system", None) else []
    for i in range(len(row.items("history") if row.get("history", None) else [])):
        turns += [Message("user", row.text(f"history.{i}.0")), Message("assistant", row.text(f"history.{i}.1"))]
    instruction = row.text("instruction")
    question = f"{instruction}\n\n{given}" if given and given.strip() else instruction
    return row.prompt([*turns, Message("user", question)], row.rest(*USED))


def answered(prompt: Prompt, text: str, author: str = "unknown") -> Demonstration:
    """A demonstration, unless its answer is blank."""
    if not text.strip():
        raise Skip("an empty answer")
    return Demonstration(prompt, text, author)
