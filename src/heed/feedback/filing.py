"""An answer as rows: the submission, what it says of each completion, and whose turn it is now, in one transaction.

The id of a submission is made by whoever answers.  The same id with the same bytes is the same answer, however often it
comes; with other bytes it is a conflict, and nothing is overwritten.  A later answer of the same labeler to the same task
points at the one that it takes the place of.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from heed.errors import UserError
from heed.feedback import queue, schema
from heed.feedback.assignment import Sheet
from heed.feedback.bodies import Answer
from heed.feedback.forms import PREFERS, TALKS, WRITES, Form
from heed.feedback.rows import Row
from heed.feedback.schema import assignments, submissions, tasks
from heed.records import content_id

UNDONE = "undone"  # the reason of a submission that takes an answer back


class Conflict(UserError):
    """Another answer is already there.  `stored` is its body, where it is the labeler's own."""

    def __init__(self, message: str, stored: Mapping[str, Any] | None = None):
        super().__init__(message)
        self.stored = stored


@dataclass(frozen=True)
class Receipt:
    """What became of an answer: new, a replay of one that is here already, or late (kept; its place was somebody else's)."""

    submission_id: str
    task: int
    outcome: str
    seq: int


@dataclass(frozen=True)
class Envelope:
    """An answer on its way in."""

    id: str
    answer: Answer
    raw: bytes
    now: float
    revises: str | None = None  # the submission that it is meant to take the place of
    ended: tuple[str, ...] = ()  # of a conversation: the assistant's completions, from the first to the last

    @property
    def digest(self) -> str:
        return sha256(self.raw).hexdigest()


def file(db: Connection, sheet: Sheet, envelope: Envelope) -> Receipt:
    """Write it.  Raises Conflict, and the caller's transaction undoes everything."""
    queue.lock(db, tasks.c.id == sheet.task_id)
    state = db.execute(_STATE, {"task_id": sheet.task_id, "labeler": sheet.labeler}).one()
    known = db.execute(_KNOWN, {"task_id": sheet.task_id, "labeler": sheet.labeler, "id": envelope.id}).all()
    if same := next((row for row in known if row.id == envelope.id), None):
        return _replay(sheet, envelope, same)
    latest = next((row for row in reversed(known) if row.task_id == sheet.task_id), None)
    _check_turn(envelope, latest)
    late = (state.state in ("expired", "skipped") and state.open_slots == 0) or state.status == "cancelled"
    seq = db.execute(_SUBMIT, _submission(sheet, envelope, latest, late)).inserted_primary_key[0]
    for table, rows in _typed(sheet, envelope):
        if rows:
            db.execute(sa.insert(table), rows)
    after = {"answered": "submitted", "not_rankable": "submitted", "skipped": "skipped"}[envelope.answer.outcome]
    queue.assign(db, [{"task_id": sheet.task_id, "labeler_id": sheet.labeler, "state": after, "lease_expires_at": None}])
    queue.recount(db, [sheet.task_id])
    db.execute(_DRAFT, {"task_id": sheet.task_id, "labeler": sheet.labeler})
    return Receipt(envelope.id, sheet.assignment.task, "late" if late else "new", seq)


def body_of(raw: bytes | None) -> dict[str, Any] | None:
    """The body that was received; None for answers that came by another way."""
    return None if raw is None else json.loads(raw)


def _replay(sheet: Sheet, envelope: Envelope, same: sa.Row) -> Receipt:
    if same.labeler_id != sheet.labeler:
        raise Conflict(f"the id {envelope.id!r} is taken; expected a new one")
    if same.task_id != sheet.task_id or same.raw_sha256 != envelope.digest:
        raise Conflict("this answer was already sent, and said something else", body_of(same.raw))
    return Receipt(envelope.id, sheet.assignment.task, "replay", same.seq)


def _check_turn(envelope: Envelope, latest: sa.Row | None) -> None:
    if envelope.revises is not None and (latest is None or latest.id != envelope.revises):
        raise Conflict("this answer was changed since", body_of(latest.raw) if latest else None)
    if envelope.revises is None and latest is not None and latest.outcome != "skipped":
        raise Conflict("you have answered this already; revise that answer instead", body_of(latest.raw))


def _submission(sheet: Sheet, envelope: Envelope, latest: sa.Row | None, late: bool) -> Row:
    answer = envelope.answer
    return {
        "id": envelope.id, "kind": sheet.assignment.kind, "task_id": sheet.task_id, "labeler_id": sheet.labeler,
        "outcome": answer.outcome, "supersedes_id": latest.id if latest else None,
        "strength": float(abs(answer.preference)) if answer.preference else None, "seconds": answer.seconds,
        "note": answer.note, "answered_at": envelope.now, "late": int(late),
        "reason": answer.reason or ", ".join(answer.reasons), "instructions_id": sheet.instructions_id,
        "opened_at": answer.opened_at, "raw": envelope.raw,
        "raw_sha256": envelope.digest,
    }  # fmt: skip


def _typed(sheet: Sheet, envelope: Envelope) -> list[tuple[sa.Table, list[Row]]]:
    """(table, rows) in an order in which each finds what it points at."""
    id, answer, of = envelope.id, envelope.answer, sheet.completions
    if answer.outcome != "answered":
        return []
    kind, form = sheet.assignment.kind, sheet.assignment.form
    found = []
    ranks = {of[letter]: rank for letter, rank in answer.ranks.items()}
    if kind in PREFERS:
        found.append((schema.preferences, [{
            "submission_id": id, "a_completion_id": of["A"], "b_completion_id": of["B"], "preference": answer.preference,
            "both_bad": int(answer.both_bad), "points": form.points}]))  # fmt: skip
        if sheet.assignment.mode == "red_team":  # they said which is more harmful; rank 1 is the better one
            ranks = {completion: 1 + max(ranks.values()) - rank for completion, rank in ranks.items()}
    if kind in WRITES:
        written, ranks = _written(sheet, envelope)
        found += written
    if kind in TALKS:
        of = {"A": envelope.ended[-1]} if envelope.ended else {}
    if kind == "converse":
        found.append((schema.demonstrations,
                      [{"submission_id": id, "completion_id": said} for said in dict.fromkeys(envelope.ended)]))
    if kind == "review":
        found.append((schema.reviews, [{"submission_id": id, "verdict": answer.verdict}]))
    found.append((schema.ranking_items, _ranking(id, ranks, list(of.values()))))
    found.append((schema.ratings, _ratings(id, answer, of, form)))
    found.append((schema.flags, [
        {"submission_id": id, "completion_id": of[letter], "flag": name, "value": int(value)}
        for letter, given in answer.flags.items() if letter in of for name, value in given.items()]))  # fmt: skip
    return found


def _ranking(id: str, ranks: Mapping[str, int], shown: list[str]) -> list[Row]:
    """What was written stands after everything that was shown."""
    place = {completion: i for i, completion in enumerate(shown)}
    return [{"submission_id": id, "completion_id": completion, "rank": rank,
             "shown_position": place.get(completion, len(shown))} for completion, rank in ranks.items()]  # fmt: skip


def _ratings(id: str, answer: Answer, of: Mapping[str, str], form: Form) -> list[Row]:
    scale = {scale.name: scale for scale in form.ratings}
    return [{"submission_id": id, "completion_id": of[letter], "dimension": name, "value": float(value),
             "scale_min": float(scale[name].low), "scale_max": float(scale[name].high)}
            for letter, given in answer.ratings.items() if letter in of for name, value in given.items()]  # fmt: skip


def _written(sheet: Sheet, envelope: Envelope) -> tuple[list[tuple[sa.Table, list[Row]]], dict[str, int]]:
    """What a person wrote, as a completion; an edit is better than what it was made from (Bai et al. 2022, D.2)."""
    written = content_id("written", envelope.id)
    original = sheet.completions.get("A")
    rows = [(schema.completions, [{
        "id": written, "prompt_id": sheet.prompt.id, "text": envelope.answer.text, "made_by": "human", "sampling": "{}",
        "edited_from_id": original}])]  # fmt: skip
    if sheet.assignment.kind == "edit":
        return rows, {original: 2, written: 1}
    rows.append((schema.demonstrations, [{"submission_id": envelope.id, "completion_id": written}]))
    return rows, {}


_STATE = (
    sa.select(tasks.c.open_slots, tasks.c.status, assignments.c.state)
    .join(assignments, assignments.c.task_id == tasks.c.id)
    .where(tasks.c.id == sa.bindparam("task_id"), assignments.c.labeler_id == sa.bindparam("labeler"))
)
_KNOWN = (
    sa.select(submissions.c.id, submissions.c.seq, submissions.c.task_id, submissions.c.labeler_id, submissions.c.outcome,
              submissions.c.raw, submissions.c.raw_sha256)
    .where(sa.or_(submissions.c.id == sa.bindparam("id"),
                  (submissions.c.task_id == sa.bindparam("task_id")) & (submissions.c.labeler_id == sa.bindparam("labeler"))))
    .order_by(submissions.c.seq)
)  # fmt: skip
_SUBMIT = sa.insert(submissions)
_DRAFT = sa.delete(schema.drafts).where(
    schema.drafts.c.task_id == sa.bindparam("task_id"), schema.drafts.c.labeler_id == sa.bindparam("labeler"))  # fmt: skip
