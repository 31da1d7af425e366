"""Stanford Human Preferences (Ethayarajh et al. 2022): two Reddit comments, the better one voted up though it came later.

    {post_id, domain, history, human_ref_A, human_ref_B, labels: 1 when A is better, score_A, score_B, score_ratio, ...}

Rows of one post share their prompt.  The strength is the ratio of the comments' scores (2 or more in SHP).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import ranking
from heed.language.datasets.row import Row
from heed.records import Message, Ranking

TITLE = "Stanford Human Preferences"
SHAPES = (("history", "human_ref_A", "human_ref_B", "labels"),)


def matches(values: Mapping[str, Any]) -> bool:
    """Two human references."""
    return "human_ref_A" in values or "human_ref_B" in values


def read(row: Row) -> Iterator[Ranking]:
    """One ranking of two."""
    texts = [row.text("human_ref_A"), row.text("human_ref_B")]
    first_is_better = row.whole("labels", (0, 1)) == 1
    yield ranking(
        row.prompt([Message("user", row.text("history"))], {"domain": row.name("domain"), "post_id": row.name("post_id")}),
        texts,
        [1, 2] if first_is_better else [2, 1],
        labeler="reddit",
        made_by=["human", "human"],
        strength=row.number("score_ratio") if row.get("score_ratio", None) is not None else None,
    )
