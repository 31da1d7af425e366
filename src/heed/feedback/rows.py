"""Records as rows of the tables and back, with everything checked that can be checked without a database."""

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from operator import index
from time import time
from typing import Any

from heed.errors import UserError, nearest
from heed.records import Candidate, Comparison, Demonstration, Judgement, Message, Prompt, Rating, content_id

Row = dict[str, Any]
OUTCOMES = ("answered", "skipped", "not_rankable")
SPLITS = ("train", "valid", "test")


@dataclass
class Batch:
    """The records of one `add`, by id; of two with one id the first stays."""

    prompts: dict[str, Row] = field(default_factory=dict)
    completions: dict[str, Row] = field(default_factory=dict)
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    judgements: dict[str, Judgement] = field(default_factory=dict)
    others: dict[str, tuple[Row, list[Row]]] = field(default_factory=dict)  # submission, its ratings or demonstration

    @classmethod
    def of(cls, records: Iterable[Comparison | Judgement | Rating | Demonstration]) -> "Batch":
        """Raises UserError for a record that says something impossible."""
        batch = cls()
        for record in records:
            match record:
                case Comparison():
                    batch._comparison(record)
                case Judgement():
                    check_judgement(record)
                    batch.judgements.setdefault(record.id, record)
                case Rating():
                    batch._rating(record)
                case Demonstration():
                    batch._demonstration(record)
                case _:
                    raise TypeError(f"a store keeps comparisons, judgements, ratings and demonstrations, not {record!r:.80}")
        return batch

    def labelers(self) -> list[str]:
        return list(dict.fromkeys([j.labeler for j in self.judgements.values()]
                                  + [submission["labeler_id"] for submission, _ in self.others.values()]))

    def _comparison(self, comparison: Comparison) -> None:
        ids = [c.id for c in comparison.candidates]
        if len(ids) < 2:
            raise UserError(f"comparison {comparison.id!r} has {len(ids)} candidates; expected at least 2")
        if len(set(ids)) < len(ids):
            twice = next(i for i in ids if ids.count(i) > 1)
            raise UserError(f"comparison {comparison.id!r} holds the candidate {twice!r} twice")
        self.prompt(comparison.prompt)
        for candidate in comparison.candidates:
            self.completion(comparison.prompt, candidate)
        self.comparisons.setdefault(comparison.id, comparison)

    def _rating(self, rating: Rating) -> None:
        where = f"rating {rating.id!r}"
        if not rating.scores:
            raise UserError(f"{where} has no scores")
        low, high = _finite(rating.low, f"{where}: low"), _finite(rating.high, f"{where}: high")
        for dimension, value in rating.scores.items():
            if not low <= _finite(value, f"{where}: {dimension}") <= high:
                raise UserError(f"{where}: {dimension} = {value:g} is not on the scale from {low:g} to {high:g}")
        self.prompt(rating.prompt)
        self.completion(rating.prompt, rating.candidate)
        rows = [{"submission_id": rating.id, "dimension": dimension, "completion_id": rating.candidate.id,
                 "value": float(value), "scale_min": low, "scale_max": high}
                for dimension, value in rating.scores.items()]
        self.others.setdefault(rating.id, (_submission(rating.id, "rate", rating.labeler), rows))

    def _demonstration(self, demonstration: Demonstration) -> None:
        prompt, text, author = demonstration.prompt, demonstration.completion, demonstration.author
        id = content_id("demonstration", prompt.id, text, author)
        self.prompt(prompt)
        self.completion(prompt, Candidate(text, made_by="human", id=id))
        rows = [{"submission_id": id, "completion_id": id}]
        self.others.setdefault(id, (_submission(id, "demonstrate", author), rows))

    def prompt(self, prompt: Prompt) -> None:
        """Raises UserError for what no database can keep, and for one id with two contents."""
        if prompt.split not in SPLITS:
            raise UserError(f"prompt {prompt.id!r}: unknown split {prompt.split!r}{nearest(str(prompt.split), SPLITS)}")
        content = prompt.content if isinstance(prompt.content, str) else [asdict(m) for m in prompt.content]
        where = f"prompt {prompt.id!r}"
        row = {"id": prompt.id, "content": _json(content, where), "columns": _json(dict(prompt.columns), where),
               "split": prompt.split}
        check_same(self.prompts.setdefault(prompt.id, row), row)

    def completion(self, prompt: Prompt, candidate: Candidate) -> None:
        """Raises UserError for what no database can keep, and for one id with two texts."""
        where = f"candidate {candidate.id!r}"
        if candidate.logprob is not None and math.isnan(candidate.logprob):
            raise UserError(f"{where}: its log-probability is not a number")
        row = {"id": candidate.id, "prompt_id": prompt.id, "text": candidate.text, "made_by": candidate.made_by,
               "tokens": _pack(candidate.tokens, where), "logprob": candidate.logprob,
               "sampling": _json(dict(candidate.sampling), where)}
        check_same(self.completions.setdefault(candidate.id, row), row)


def check_same(first: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Refuse an id that would come to stand for two texts: an answer about the one would be read as about the other."""
    if "content" in row and first["content"] != row["content"]:
        raise UserError(f"prompt {row['id']!r} is already there with another content; expected a new id")
    if "text" in row and first["text"] != row["text"]:
        raise UserError(f"candidate {row['id']!r} is already there with another text; expected a new id")
    if "text" in row and first["prompt_id"] != row["prompt_id"]:
        raise UserError(f"candidate {row['id']!r} already answers prompt {first['prompt_id']!r}, "
                        f"not {row['prompt_id']!r}; expected a new id")


def check_judgement(judgement: Judgement) -> None:
    """What a judgement says by itself; `dense` checks it against its comparison."""
    where = f"judgement {judgement.id!r}"
    if judgement.outcome not in OUTCOMES:
        raise UserError(f"{where}: unknown outcome {judgement.outcome!r}{nearest(str(judgement.outcome), OUTCOMES)}")
    if judgement.outcome != "answered" and judgement.ranks:
        raise UserError(f"{where} is {judgement.outcome} and yet has ranks; expected none")
    if judgement.strength is not None:
        _finite(judgement.strength, f"{where}: strength")
    _finite(judgement.seconds, f"{where}: seconds")


def dense(judgement: Judgement, candidates: Iterable[str]) -> dict[str, int]:
    """Its ranks without gaps (2, 2, 5 becomes 1, 1, 2), checked to cover exactly `candidates`."""
    where, ranks, candidates = f"judgement {judgement.id!r}", judgement.ranks, list(candidates)
    if judgement.outcome != "answered":
        return {}
    for id in ranks:
        if id not in candidates:
            raise UserError(f"{where} ranks {id!r}, which is not in comparison {judgement.comparison_id!r}"
                            f"{nearest(str(id), candidates)}")
    for id in candidates:
        if id not in ranks:
            raise UserError(f"{where} leaves out candidate {id!r}; expected a rank for each of {len(candidates)}")
    for id, rank in ranks.items():
        try:
            positive = not isinstance(rank, bool) and index(rank) > 0
        except TypeError:
            positive = False
        if not positive:
            raise UserError(f"{where}: candidate {id!r} has rank {rank!r}; expected a whole number, 1 for the best")
    levels = {rank: place for place, rank in enumerate(sorted(set(ranks.values())), start=1)}
    return {id: levels[rank] for id, rank in ranks.items()}


def judgement_row(judgement: Judgement, supersedes: str | None) -> Row:
    """Its row in `submissions`; `supersedes` is the id of the answer that it corrects."""
    return {**_submission(judgement.id, "rank", judgement.labeler), "task_id": judgement.comparison_id,
            "outcome": judgement.outcome, "strength": judgement.strength, "seconds": float(judgement.seconds),
            "note": judgement.note, "answered_at": float(judgement.answered_at), "supersedes_id": supersedes}


def prompt_of(row: Any) -> Prompt:
    """The prompt of a row of `prompts`."""
    content = json.loads(row.content)
    if not isinstance(content, str):
        content = tuple(Message(**m) for m in content)
    return Prompt(content, json.loads(row.columns), row.split, row.id)


def candidate_of(row: Any) -> Candidate:
    """The candidate of a row of `completions`."""
    tokens = None if row.tokens is None else struct.unpack(f"<{len(row.tokens) // 4}i", row.tokens)
    return Candidate(row.text, row.made_by, tokens, row.logprob, json.loads(row.sampling), row.id)


def _submission(id: str, kind: str, labeler: str) -> Row:
    if not isinstance(labeler, str) or not labeler:
        raise UserError(f"answer {id!r} has no labeler; expected a name")
    return {"id": id, "kind": kind, "task_id": None, "labeler_id": labeler, "outcome": "answered",
            "supersedes_id": None, "strength": None, "seconds": 0.0, "note": "", "answered_at": time()}


def _pack(tokens: Iterable[int] | None, where: str) -> bytes | None:
    if tokens is None:
        return None
    try:
        return struct.pack(f"<{len(tokens)}i", *tokens)
    except struct.error:
        raise UserError(f"{where}: its tokens are not all whole numbers below 2^31") from None


def _json(value: Any, where: str) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where} holds what JSON cannot: {error}") from None


def _finite(value: float, what: str) -> float:
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{what} is {value!r:.40}; expected a number")
    return number
