"""Records from the parts that rows hold, with ids made from their content: reading a file twice gives equal records."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from heed.errors import UserError
from heed.language.datasets.row import Row, Skip
from heed.records import Candidate, Comparison, Demonstration, Judgement, Message, Prompt, Ranking, Rating, content_id

ROLES = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "system": "system",
}


def candidates(prompt: Prompt, texts: Sequence[str], made_by: Sequence[str] | None = None) -> tuple[Candidate, ...]:
    """One candidate a text; the same text by the same author has the same id in every comparison on that prompt."""
    seen: dict[str, int] = {}
    made = []
    for i, text in enumerate(texts):
        author = made_by[i] if made_by else "unknown"
        identity = content_id(prompt.id, author, text)
        seen[identity] = seen.get(identity, 0) + 1
        if seen[identity] > 1:  # the same text shown twice in one comparison is still two candidates
            identity = content_id(identity, str(seen[identity]))
        made.append(Candidate(text, author, id=identity))
    return tuple(made)


def ranking(
    prompt: Prompt,
    texts: Sequence[str],
    order: Sequence[float],
    *,
    labeler: str = "unknown",
    made_by: Sequence[str] | None = None,
    strength: float | None = None,
    note: str = "",
) -> Ranking:
    """An answered comparison.  `order` has a number a text, smaller is better, equal is a tie.

    The times of asking and answering are 0: the files do not say them.
    """
    shown = candidates(prompt, texts, made_by)
    levels = {value: rank for rank, value in enumerate(sorted(set(order)), 1)}
    comparison = Comparison(prompt, shown, content_id(prompt.id, *(c.id for c in shown)), asked_at=0.0)
    ranks = {c.id: levels[value] for c, value in zip(shown, order, strict=True)}
    identity = content_id(comparison.id, labeler, *map(str, ranks.values()))
    judgement = Judgement(comparison.id, labeler, ranks, strength=strength, note=note, id=identity, answered_at=0.0)
    return Ranking(comparison, judgement)


def rating(
    prompt: Prompt,
    text: str,
    scores: Mapping[str, float],
    low: float,
    high: float,
    *,
    labeler: str = "unknown",
    made_by: str = "unknown",
) -> Rating:
    """Absolute scores of one text."""
    candidate = candidates(prompt, [text], [made_by])[0]
    identity = content_id(candidate.id, labeler, *(f"{k}={v}" for k, v in sorted(scores.items())))
    return Rating(prompt, candidate, labeler, dict(scores), low, high, identity)


def messages(row: Row, key: str) -> tuple[Message, ...]:
    """The conversation at `key`: {"role", "content"} (TRL) or {"from", "value"} (ShareGPT) turns."""
    return tuple(message(row, f"{key}.{i}", turn) for i, turn in enumerate(row.items(key)))


def message(row: Row, key: str, turn: Any) -> Message:
    """One turn.  Turns that are not text (tool calls, images) make the row unusable here, not wrong."""
    if not isinstance(turn, Mapping) or not ({"role", "content"} <= set(turn) or {"from", "value"} <= set(turn)):
        raise UserError(f'{row.place}: {key!r} should be a turn {{"role", "content"}} or {{"from", "value"}}')
    role, content = (turn["role"], turn["content"]) if "role" in turn else (turn["from"], turn["value"])
    if isinstance(content, list) and all(isinstance(p, Mapping) and p.get("type") == "text" for p in content):
        content = "".join(str(p.get("text", "")) for p in content)
    if role in ("tool", "function", "function_call", "observation", "ipython") or content is None:
        raise Skip("tool calls")
    if isinstance(content, list):
        raise Skip("turns that are not text")
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise UserError(f"{row.place}: the role at {key!r} should be system, user or assistant, not {role!r}")
    if not isinstance(content, str):
        raise UserError(f"{row.place}: the content at {key!r} should be text, not {type(content).__name__}")
    return Message(ROLES[role.lower()], content)


def demonstrations(
    row: Row, turns: Sequence[Message], columns: Mapping[str, Any], author: str = "unknown"
) -> list[Demonstration]:
    """One demonstration an assistant turn: everything before it is its prompt."""
    found = [
        Demonstration(row.prompt(turns[:i], columns), turn.content, author)
        for i, turn in enumerate(turns)
        if turn.role == "assistant" and i and turn.content.strip()
    ]
    if not found:
        raise Skip("no assistant turn after a user's")
    return found


def first_words(text: str, count: int = 8) -> str:
    """The opening of a text, as a prompt to continue; the text itself when it is that short."""
    return re.match(rf"(?:\s*\S+){{0,{count}}}", text)[0]
