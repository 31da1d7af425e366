"""OpenAI's summarize-from-feedback (Stiennon et al. 2020): comparisons of two summaries, and ratings on axes.

Comparison: {info: {id, post, title, subreddit}, summaries: [{text, policy, note}, ...], choice, worker, batch, split,
             extra: {confidence}};  CNN/DM rows have info.article instead of a post.
Axis rating: {info, summary: {text, policy, note, axes: {overall, accuracy, coverage, coherence}}, worker, batch, split}.

`confidence` runs from 1 (surely the first) over 4 | 6 (barely) to 9 (surely the second), so the strength is |c - 5|.
The prompt is the paper's: plain text that ends in "TL;DR:".
"""

from collections.abc import Iterator, Mapping
from typing import Any

from heed.language.datasets.build import ranking, rating
from heed.language.datasets.row import Row, Skip
from heed.records import Prompt, Ranking, Rating

TITLE = "OpenAI summary comparisons and ratings"
SHAPES = (("info", "summaries", "choice"), ("info", "summary"))


def matches(values: Mapping[str, Any]) -> bool:
    """An info object beside one summary or several."""
    return isinstance(values.get("info"), Mapping) and ("summaries" in values or "summary" in values)


def read(row: Row) -> Iterator[Ranking | Rating]:
    """One ranking, or one rating."""
    if "summaries" not in row.values:
        yield axes(row)
        return
    shown = range(len(row.items("summaries")))
    texts = [row.text(f"summaries.{i}.text") for i in shown]
    choice = row.whole("choice", shown)
    confidence = row.get("extra.confidence", None)
    yield ranking(
        prompt(row),
        texts,
        [float(i != choice) for i in shown],
        labeler=row.name("worker"),
        made_by=[row.name(f"summaries.{i}.policy") for i in shown],
        strength=None if confidence is None else abs(row.number("extra.confidence") - 5),
    )


def axes(row: Row) -> Rating:
    """The rating of one summary on the axes that were asked."""
    given = row.get("summary.axes", {})
    if not isinstance(given, Mapping):
        raise row.wrong("summary.axes", "an object of numbers")
    scores = {axis: row.number(f"summary.axes.{axis}") for axis, value in given.items() if value is not None}
    if not scores:
        raise Skip("no axis was rated")
    text, made_by = row.text("summary.text"), row.name("summary.policy")
    return rating(prompt(row), text, scores, 1.0, 7.0, labeler=row.name("worker"), made_by=made_by)


def prompt(row: Row) -> Prompt:
    """The post or article as the paper asked for its summary."""
    columns = {"batch": row.name("batch"), "source_id": row.name("info.id")}
    if row.get("info.post", None) is None:
        return row.prompt(f"Article:\n{row.text('info.article')}\n\nTL;DR:\n", columns)
    subreddit = row.name("info.subreddit").removeprefix("r/")
    title = row.text("info.title", "") or ""
    return row.prompt(f"SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {row.text('info.post')}\n\nTL;DR:", columns)
