"""Demonstrations and ratings to and from files: one answer a row, in TRL's shapes.

    {"prompt", "completion", "author", "prompt_id", "columns", "split"}              demonstrations (prompt-completion)
    {"prompt", "completion", "scores": {}, "low", "high", "labeler", "rating_id",    ratings
     "completion_id", "made_by", "prompt_id", "columns", "split"}
    {"prompt", "completion", "label": bool}                                          unpaired (KTO), made of ratings, one way

Prompt and completion are texts, or turns where the prompt is a conversation.  Only prompt and completion are needed to read
a demonstration, and scores, low and high besides to read a rating.  Writing, reading and writing again gives the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from heed.errors import UserError
from heed.feedback.exchange import Source, content_of, needed, prompt_of, read_rows, text_of, write_rows
from heed.records import Candidate, Demonstration, Prompt, Rating, content_id


def write_demonstrations(demonstrations: Iterable[Demonstration], path: str | Path) -> int:
    """Write them in their order; returns how many."""
    return write_rows(({**_asked(d.prompt, d.completion), "author": d.author, **_of_prompt(d.prompt)}
                       for d in demonstrations), path)


def read_demonstrations(source: Source) -> list[Demonstration]:
    """The demonstrations of a file, or of rows.  Raises UserError with the place of the first row that is wrong."""
    return list(_read(source, _demonstration, "prompt, completion; and where they are known author, prompt_id, columns, split"))


def write_ratings(ratings: Iterable[Rating], path: str | Path) -> int:
    """Write them in their order; returns how many."""
    return write_rows(({
        **_asked(r.prompt, r.candidate.text), "scores": {k: float(v) for k, v in r.scores.items()}, "low": float(r.low),
        "high": float(r.high), "labeler": r.labeler, "rating_id": r.id, "completion_id": r.candidate.id,
        "made_by": r.candidate.made_by, **_of_prompt(r.prompt),
    } for r in ratings), path)


def read_ratings(source: Source) -> list[Rating]:
    """The ratings of a file, or of rows.  Raises UserError with the place of the first row that is wrong."""
    return list(_read(source, _rating, "prompt, completion, scores, low, high; and where they are known labeler, rating_id, "
                                       "completion_id, made_by, prompt_id, columns, split"))


def write_unpaired(ratings: Iterable[Rating], dimension: str, path: str | Path) -> int:
    """TRL's unpaired preferences (KTO): wanted above the middle of the scale, not below; returns how many there are.

    Ratings in the very middle, and those without this dimension, say neither and are left out.
    """
    return write_rows(({**_asked(r.prompt, r.candidate.text), "label": r.scores[dimension] > (r.low + r.high) / 2}
                       for r in ratings if dimension in r.scores and r.scores[dimension] != (r.low + r.high) / 2), path)


def _asked(prompt: Prompt, text: str) -> dict[str, Any]:
    chat = not isinstance(prompt.content, str)
    return {"prompt": prompt.trl(), "completion": [{"role": "assistant", "content": text}] if chat else text}


def _of_prompt(prompt: Prompt) -> dict[str, Any]:
    return {"prompt_id": prompt.id, "columns": dict(prompt.columns), "split": prompt.split}


def _read(source: Source, make: Any, expected: str) -> Iterator[Any]:
    for where, row in read_rows(source):
        try:
            yield make(row)
        except UserError as error:
            raise UserError(f"{where}: {error} [expected {expected}]") from None


def _demonstration(row: Mapping[str, Any]) -> Demonstration:
    return Demonstration(prompt_of(row), _completion(row), text_of(row, "author", "human"))


def _rating(row: Mapping[str, Any]) -> Rating:
    prompt, text = prompt_of(row), _completion(row)
    labeler, made_by = text_of(row, "labeler", "imported"), text_of(row, "made_by", "unknown")
    low, high = (needed(row, key, (int, float), "a number") for key in ("low", "high"))
    scores = needed(row, "scores", dict, "an object of numbers")
    for name, value in scores.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise UserError(f"scores: {name} = {value!r:.60}; expected a number from {low:g} to {high:g}")
    candidate = Candidate(text, made_by, id=text_of(row, "completion_id", content_id("completion", prompt.id, made_by, text)))
    id = text_of(row, "rating_id", content_id("rating", labeler, candidate.id, repr(sorted(scores.items()))))
    return Rating(prompt, candidate, labeler, scores, low, high, id)


def _completion(row: Mapping[str, Any]) -> str:
    content = content_of(needed(row, "completion", (str, list), "a text or one assistant turn"), "completion")
    if isinstance(content, str):
        return content
    if len(content) != 1 or content[0].role != "assistant":
        raise UserError(f"completion: expected one turn of the assistant after the prompt, found {len(content)} turns")
    return content[0].content
