"""WebGPT comparisons (Nakano et al. 2021): two researched answers to a question.

    {question: {dataset, id, full_text}, quotes_0, answer_0, score_0, quotes_1, answer_1, score_1}

The scores run from -1 to 1 and sum to 0: equal is a tie, the size is how strongly the better one was preferred.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.row import Row
from heed.records import Message, Ranking

TITLE = "WebGPT comparisons"
SHAPES = (("question", "answer_0", "answer_1", "score_0", "score_1"),)


def matches(values: Mapping[str, Any]) -> bool:
    """Two numbered answers."""
    return "answer_0" in values and "answer_1" in values


def read(row: Row) -> Iterator[Ranking]:
    """One ranking of two."""
    question = row.text("question.full_text" if isinstance(row.get("question"), Mapping) else "question")
    columns = {"quotes_0": row.get("quotes_0", None), "quotes_1": row.get("quotes_1", None)}
    scores = [row.number("score_0"), row.number("score_1")]
    yield ranking(
        row.prompt([Message("user", question)], columns),
        [row.text("answer_0"), row.text("answer_1")],
        [-s for s in scores],
        labeler="contractor",
        strength=abs(scores[0]),
    )
