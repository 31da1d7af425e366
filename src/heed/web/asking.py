"""Tasks that a manager writes or pastes: a prompt a line, as plain text or as JSON.

A line of JSON is {"prompt": text or turns, "completions": [texts], "made_by": [who wrote them]}; what people are to compare,
rate or edit has completions, and only such lines can be asked of them.  Other keys become columns of the prompt.
"""

import json
from typing import Any

from heed.errors import UserError
from heed.feedback.exchange import content_of
from heed.feedback.forms import ITEMS, TALKS
from heed.feedback.work import Task
from heed.records import Candidate, Message, Prompt, split_of

MOST = 5000  # lines in one go
KINDS = ("rank", "pairwise", "rate", "edit", "demonstrate", "converse", "live_compare")  # clips come with heed control


def tasks_of(kind: str, mode: str, text: str, **how: Any) -> list[Task]:
    """A task a line.  Raises UserError with the number of the first line that is wrong."""
    if kind not in KINDS:
        raise UserError(f"kind: expected one of {', '.join(KINDS)}")
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not 1 <= len(lines) <= MOST:
        raise UserError(f"{len(lines)} prompts; expected 1 to {MOST:,}, one a line")
    asked = []
    for n, line in lines:
        try:
            asked.append(_task(kind, mode, line, how))
        except UserError as error:
            raise UserError(f"line {n}: {error}") from None
    return asked


def _task(kind: str, mode: str, line: str, how: dict[str, Any]) -> Task:
    low, high = ITEMS[kind]
    row: dict[str, Any] = {"prompt": line}
    if line.startswith("{"):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"this is no JSON: {error}") from None
    given = row.pop("completions", [])
    made_by = row.pop("made_by", None) or ["import"] * (len(given) if isinstance(given, list) else 0)
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise UserError("completions: expected a list of texts")
    if not isinstance(made_by, list) or len(made_by) != len(given) or not all(isinstance(one, str) for one in made_by):
        raise UserError("made_by: expected a name for each completion")
    if not low <= len(given) <= high:
        wanted = f"{low}" if low == high else f"{low} to {high}"
        raise UserError(f"{len(given)} completions; expected {wanted} "
                        '({"prompt": ..., "completions": [...]})' if high else f"{kind} is asked without completions")
    if not isinstance(row.get("prompt"), str | list) or not row["prompt"]:
        raise UserError("prompt: expected a text or turns")
    content = content_of(row.pop("prompt"), "prompt")
    if isinstance(content, str) and kind not in TALKS:
        content = (Message("user", content),)
    prompt = Prompt(content, row)
    candidates = tuple(Candidate(one, maker) for one, maker in zip(given, made_by, strict=True))
    return Task(kind, Prompt(content, row, split_of(prompt.id), prompt.id), candidates, mode=mode, **how)
