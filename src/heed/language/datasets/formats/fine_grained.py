"""Fine-grained RLHF's answers to questions (Wu et al. 2023): four answers, all six pairs compared.

    {question, passages, "prediction 1" .. "prediction 4", gold,
     preference: [1v2, 1v3, 1v4, 2v3, 2v4, 3v4], each 1 (the first is better), 2 (the second) or 0 (no preference)}

The six answers become one K-way ranking by the pairs each answer won less those it lost.  Rows where that order does not
reproduce all six (a circle of preferences) are left out: no ranking says what their labeler said.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.row import Row, Skip
from heed.records import Message, Prompt, Ranking

TITLE = "Fine-grained RLHF answers"
SHAPES = (("question", "prediction 1", "prediction 2", "preference"), ("question", "passages", "answer"))
PAIRS = tuple(combinations(range(4), 2))


def matches(values: Mapping[str, Any]) -> bool:
    """The questions, with or without predictions."""
    return "question" in values and ("prediction 1" in values or ("passages" in values and "answer" in values))


def read(row: Row) -> Iterator[Ranking | Prompt]:
    """One ranking of four; for the unjudged files, one prompt."""
    prompt = row.prompt([Message("user", row.text("question"))], row.rest("question", "preference"))
    if "preference" not in row.values:
        yield prompt
        return
    answers = [row.text(f"prediction {i}") for i in range(1, 5)]
    if len(row.items("preference")) != len(PAIRS):
        raise row.wrong("preference", "six numbers: 1v2, 1v3, 1v4, 2v3, 2v4, 3v4")
    signs = {(i, j): (0, 1, -1)[row.whole(f"preference.{n}", (0, 1, 2))] for n, (i, j) in enumerate(PAIRS)}
    won = [sum(s if k == i else -s for (i, j), s in signs.items() if k in (i, j)) for k in range(4)]
    if any((won[i] > won[j]) - (won[i] < won[j]) != s for (i, j), s in signs.items()):
        raise Skip("preferences that no ranking reproduces")
    yield ranking(prompt, answers, [-w for w in won], labeler="crowd")
