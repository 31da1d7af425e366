"""UltraFeedback (Cui et al. 2023): answers of several models to one instruction, scored by GPT-4 from 1 to 10.

    whole    {instruction, completions: [{model, response, overall_score, fine-grained_score, ...}]}   -> K-way ranking
    pairs    {prompt, chosen, rejected, score_chosen, score_rejected}, as Zephyr's and Argilla's copies have them

A completion's score is the mean over the four aspects (`fine-grained_score`) where it is given: thousands of the first
release's overall scores were wrong.  In pairs the strength is the difference of the scores; where the scores contradict
the order of the pair (as in copies with flipped labels) the order is kept and the strength is unknown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from heed.language.datasets.build import ranking, rating
from heed.language.datasets.formats import trl
from heed.language.datasets.row import Row, Skip
from heed.records import Message, Ranking, Rating

TITLE = "UltraFeedback"
SHAPES = (("prompt", "chosen", "rejected", "score_chosen", "score_rejected"), ("instruction", "completions"))

SCORES = (
    ("score_chosen", "score_rejected"),
    ("metadata.score_chosen", "metadata.score_rejected"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_rating", "rejected_rating"),
)


def matches(values: Mapping[str, Any]) -> bool:
    """Scored pairs, or an instruction with scored completions."""
    if "chosen" in values:
        row = Row(values)
        return "rejected" in values and any(row.get(a, None) is not None for a, _ in SCORES)
    completions = values.get("completions")
    first = completions[0] if isinstance(completions, list) and completions else None
    return "instruction" in values and isinstance(first, Mapping) and "response" in first


def read(row: Row) -> Iterator[Ranking | Rating]:
    """One ranking of K and a rating of each completion."""
    if "chosen" in row.values:
        yield from pair(row)
        return
    shown = range(len(row.items("completions")))
    prompt = row.prompt([Message("user", row.text("instruction"))], row.rest("instruction", "completions", "models"))
    texts = [row.text(f"completions.{i}.response") for i in shown]
    models = [row.name(f"completions.{i}.model") for i in shown]
    scores = [score(row, f"completions.{i}") for i in shown]
    if not shown:
        raise Skip("no completions")
    if len(shown) > 1:
        yield ranking(prompt, texts, [-s for s in scores], labeler="gpt-4", made_by=models)
    for text, model, value in zip(texts, models, scores, strict=True):
        yield rating(prompt, text, {"overall": value}, 1.0, 10.0, labeler="gpt-4", made_by=model)


def score(row: Row, key: str) -> float:
    """On the scale 1..10; the aspects run from 1 to 5, so their mean is doubled."""
    if row.get(f"{key}.fine-grained_score", None) is not None:
        return max(1.0, 2 * row.number(f"{key}.fine-grained_score"))
    return row.number(f"{key}.overall_score")


def pair(row: Row) -> Iterator[Ranking | Rating]:
    """One ranking of two and a rating of each."""
    found = trl.preference(row)
    better, worse = next(names for names in SCORES if row.get(names[0], None) is not None)
    scores = [row.number(better), row.number(worse)]
    gap = scores[0] - scores[1]
    judgement = replace(found.judgement, strength=gap if gap >= 0 else None, labeler=row.name("labeler", "gpt-4"))
    yield replace(found, judgement=judgement)
    for candidate, value in zip(found.comparison.candidates, scores, strict=True):
        yield rating(found.prompt, candidate.text, {"overall": value}, 1.0, 10.0, labeler="gpt-4")
