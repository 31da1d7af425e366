"""TRL's dataset formats, as text or as conversations.

language modelling   text | messages
prompt only          prompt
prompt, completion   prompt, completion            (+ label: true or false -> a rating)
preference           prompt, chosen, rejected      (+ margin -> strength; the prompt may stand inside both)
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from heed.language.datasets.build import demonstrations, messages, ranking, rating
from heed.language.datasets.row import Row, Skip
from heed.records import Demonstration, Message, Ranking, Rating, Record

TITLE = "TRL columns"
SHAPES = (
    ("prompt", "chosen", "rejected"),
    ("prompt", "completion", "label"),
    ("prompt", "completion"),
    ("chosen", "rejected"),
    ("messages",),
    ("prompt",),
    ("text",),
)


def shape(values: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The columns that say which of the formats a row is in."""
    return next((s for s in SHAPES if all(c in values for c in s)), None)


def matches(values: Mapping[str, Any]) -> bool:
    """Any of TRL's column sets."""
    return shape(values) is not None


def read(row: Row) -> Iterator[Record]:
    """What the columns hold."""
    columns = shape(row.values)
    if columns is None:
        raise row.wrong("prompt", "there")
    if "chosen" in columns:
        yield preference(row)
    elif "completion" in columns:
        yield completion(row)
    elif columns == ("messages",):
        yield from demonstrations(row, messages(row, "messages"), row.rest("messages"))
    elif columns == ("prompt",):
        yield row.prompt(part(row, "prompt"), row.rest("prompt"))
    else:
        yield row.document(row.text("text"))


def part(row: Row, key: str) -> str | tuple[Message, ...]:
    """The value at `key`: text, or a conversation."""
    value = row.get(key)
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value:
        return messages(row, key)
    raise row.wrong(key, 'text or a list of {"role", "content"}')


def completion(row: Row) -> Demonstration | Rating:
    """A demonstration, or a rating where the completion is labelled good or not."""
    prompt = row.prompt(part(row, "prompt"), row.rest("prompt", "completion", "label"))
    text = reply(part(row, "completion"))
    if "label" not in row.values:
        return Demonstration(prompt, text, "unknown")
    return rating(prompt, text, {"label": float(row.true("label"))}, 0.0, 1.0, labeler=row.name("labeler"))


def preference(row: Row) -> Ranking:
    """One ranking of two."""
    chosen, rejected = part(row, "chosen"), part(row, "rejected")
    given = part(row, "prompt") if "prompt" in row.values else None
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise row.wrong("rejected", "of the same kind as 'chosen' (text or conversation)")
    if isinstance(chosen, str):
        prompt, replies = plain(given, chosen, rejected)
    else:
        prompt, replies = conversation(given, chosen, rejected)
    columns = row.rest("prompt", "chosen", "rejected", "margin", "labeler", "group_id")
    strength = row.number("margin") if row.get("margin", None) is not None else None
    return ranking(row.prompt(prompt, columns), replies, [1, 2], labeler=row.name("labeler"), strength=strength)


def plain(given: Any, chosen: str, rejected: str) -> tuple[str | Sequence[Message], list[str]]:
    """The prompt and the replies; without a prompt column, the words that both texts open with are the prompt."""
    if given is not None:
        return given, [chosen, rejected]
    shared = 0
    while shared < min(len(chosen), len(rejected)) and chosen[shared] == rejected[shared]:
        shared += 1
    while shared and not chosen[shared - 1].isspace():
        shared -= 1
    prompt = chosen[:shared].rstrip()
    if not prompt:
        raise Skip("no prompt: the two texts share no opening words")
    return prompt, [chosen[len(prompt) :], rejected[len(prompt) :]]


def conversation(given: Any, chosen: Sequence[Message], rejected: Sequence[Message]) -> tuple[Sequence[Message], list[str]]:
    """The prompt and the replies of two conversations that part at their last turn."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    prompt = list(chosen[:shared])
    if given is not None:
        before = [Message("user", given)] if isinstance(given, str) else list(given)
        # UltraFeedback repeats the prompt inside both conversations; TRL's own files do not.
        prompt = prompt if before in (prompt[: len(before)], prompt[-len(before) :]) else before + prompt
    if not prompt:
        raise Skip("no prompt: the two conversations share nothing")
    return prompt, [reply(chosen[shared:]), reply(rejected[shared:])]


def reply(content: str | Sequence[Message]) -> str:
    """The text of a completion: text as it stands, or the one assistant turn of a conversation."""
    if isinstance(content, str):
        return content
    if len(content) != 1 or content[0].role != "assistant":
        raise Skip("a completion of several turns")
    return content[0].content
