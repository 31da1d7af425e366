"""OpenAssistant conversations (Köpf et al. 2023): trees of messages whose sibling answers people ranked.

    {message_tree_id, tree_state, prompt: {text, role: "prompter", replies: [{text, role: "assistant", rank: 0, replies}]}}

Ranked siblings under a prompter's message are one K-way ranking; every answer with a prompter's message before it is a
demonstration.  Deleted and rejected messages, and what hangs below them, are left out.  The flat form (one message a row,
the rows of a tree one after another) is put together again first.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from heed.errors import UserError
from heed.language.datasets.build import message, ranking
from heed.language.datasets.row import Row, Skip
from heed.records import Demonstration, Message, Ranking

TITLE = "OpenAssistant trees"
SHAPES = (("message_tree_id", "prompt"), ("message_tree_id", "message_id", "text", "role"))


def matches(values: Mapping[str, Any]) -> bool:
    """A tree, or a flat message of one."""
    return flat(values) or (isinstance(values.get("prompt"), Mapping) and "replies" in values["prompt"])


def flat(values: Mapping[str, Any]) -> bool:
    """Whether a row is one message instead of a tree."""
    return all(isinstance(values.get(column), str) for column in SHAPES[1])


def gather(rows: Iterable[Row | UserError]) -> Iterator[Row | UserError]:
    """Rows with a whole tree each."""

    def tree(row: Row | UserError) -> Any:
        return row.values["message_tree_id"] if isinstance(row, Row) and flat(row.values) else id(row)

    for _, group in groupby(rows, tree):
        together = list(group)
        first = together[0]
        if not isinstance(first, Row) or not flat(first.values):
            yield first
            continue
        nodes = {row.values["message_id"]: {**row.values, "replies": []} for row in together}
        roots = []
        for node in nodes.values():
            parent = nodes.get(node.get("parent_id"))
            (parent["replies"] if parent else roots).append(node)
        yield from (Row({"message_tree_id": n["message_tree_id"], "prompt": n}, first.place, first.rule) for n in roots)


def read(row: Row) -> Iterator[Ranking | Demonstration]:
    """The rankings and demonstrations of one tree."""
    found = False
    # A stack, not recursion: a crafted tree may be as deep as its writer liked.
    stack: list[tuple[tuple[Message, ...], Any]] = [((), row.get("prompt"))]
    while stack:
        before, node = stack.pop()
        turns = (*before, turn(row, node))
        replies = [r for r in node.get("replies") or [] if usable(r)]
        stack += [(turns, reply) for reply in reversed(replies)]
        if turns[-1].role != "user":
            continue
        answers = [turn(row, reply).content for reply in replies]
        prompt = row.prompt(turns, {"lang": node.get("lang"), "message_id": node.get("message_id")})
        authors = [str(reply.get("model_name") or "human") for reply in replies]
        ranked = [i for i, reply in enumerate(replies) if isinstance(reply.get("rank"), int)]
        if len(ranked) > 1:
            order = [replies[i]["rank"] for i in ranked]
            made_by = [authors[i] for i in ranked]
            yield ranking(prompt, [answers[i] for i in ranked], order, labeler="crowd", made_by=made_by)
        yield from (Demonstration(prompt, a, by) for a, by in zip(answers, authors, strict=True))
        found = found or bool(answers)
    if not found:
        raise Skip("a tree without an answer")


def usable(node: Any) -> bool:
    """Kept by moderation; a node that is no message at all is kept too, to be refused by name."""
    return not isinstance(node, Mapping) or (not node.get("deleted") and node.get("review_result") is not False)


def turn(row: Row, node: Any) -> Message:
    """A node's own message, once the node is known to be sound."""
    if not isinstance(node, Mapping) or not isinstance(node.get("replies") or [], list):
        raise UserError(f"{row.place}: every node of a tree should be a message with text, role and a list of replies")
    name = str(node.get("message_id", "prompt"))
    return message(row, f"message {name}", {"role": node.get("role"), "content": node.get("text") or ""})
