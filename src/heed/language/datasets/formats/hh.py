"""Anthropic's helpful and harmless preferences (Bai et al. 2022): two transcripts that part at the last reply.

    {"chosen": "\\n\\nHuman: ...\\n\\nAssistant: ...", "rejected": "\\n\\nHuman: ...\\n\\nAssistant: ..."}
and the same in {"text": [a, b], "score": [1.0, 0.0]}.  What both share becomes the prompt, as messages.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.row import Row, Skip
from heed.records import Message, Ranking

TITLE = "Anthropic HH transcripts"
SHAPES = (("chosen", "rejected"), ("text", "score"))

TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")


def matches(values: Mapping[str, Any]) -> bool:
    """Two texts of which one at least has speakers."""
    if "chosen" in values:
        pair = [values["chosen"], values.get("rejected")]
        return "prompt" not in values and any(isinstance(t, str) and TURN.search(t) for t in pair)
    pair = values.get("text")
    return "score" in values and isinstance(pair, list) and any(isinstance(t, str) and TURN.search(t) for t in pair)


def read(row: Row) -> Iterator[Ranking]:
    """One ranking of two."""
    if "chosen" in row.values:
        keys, order = ["chosen", "rejected"], [1.0, 2.0]
    else:
        order = [-row.number(f"score.{i}") for i in range(len(row.items("score")))]
        keys = [f"text.{i}" for i in range(len(row.items("text")))]
        if len(order) != len(keys) or len(keys) < 2:
            raise row.wrong("score", "as many numbers as there are texts, two or more")
    transcripts = [turns(row, key) for key in keys]
    shared, replies = part(transcripts)
    yield ranking(row.prompt(shared, row.rest("chosen", "rejected", "text", "score")), replies, order, labeler="crowd")


def turns(row: Row, key: str) -> list[tuple[str, str]]:
    """(speaker, text) pairs of the transcript at `key`."""
    pieces = TURN.split(row.text(key))
    if len(pieces) < 3 or pieces[0].strip():
        raise row.wrong(key, r"a transcript that opens with '\n\nHuman:'")
    return list(zip(pieces[1::2], pieces[2::2], strict=True))


def part(transcripts: list[list[tuple[str, str]]]) -> tuple[list[Message], list[str]]:
    """(the shared conversation up to a Human turn, what each transcript says next)."""
    shared = 0
    while all(len(t) > shared + 1 and t[shared] == transcripts[0][shared] for t in transcripts):
        shared += 1
    while shared and transcripts[0][shared - 1][0] != "Human":
        shared -= 1
    rests = [t[shared:] for t in transcripts]
    if not shared or any(speaker != "Assistant" for rest in rests for speaker, _ in rest):
        raise Skip("the transcripts part before the last reply")
    prompt: list[Message] = []
    for speaker, text in transcripts[0][:shared]:
        role = "user" if speaker == "Human" else "assistant"
        if prompt and prompt[-1].role == role:  # chat templates want turns to alternate
            prompt[-1] = Message(role, f"{prompt[-1].content}\n\n{text.strip()}")
        else:
            prompt.append(Message(role, text.strip()))
    return prompt, ["\n\n".join(text.strip() for _, text in rest) for rest in rests]
