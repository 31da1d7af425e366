"""What one labeler has done, and what there is for them to do.  Every function works inside the caller's transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from heed.feedback.assignment import NotAssigned
from heed.feedback.filing import UNDONE, body_of
from heed.feedback.queue import head
from heed.feedback.reading import holds
from heed.feedback.rows import prompt_of
from heed.feedback.schema import KINDS, assignments, labelers, prompts, submissions, tasks
from heed.records import Prompt

MANY = 100  # tasks are counted up to here: an exact count would read the whole queue


@dataclass(frozen=True)
class Done:
    """One answer of one's own."""

    seq: int
    submission_id: str
    task: int
    kind: str
    outcome: str  # answered, skipped or not_rankable
    reason: str
    answered_at: float
    revisable: bool
    prompt: Prompt
    body: Mapping[str, Any] | None  # as it was sent; None where it came by another way than the desk


@dataclass(frozen=True)
class Progress:
    """`open`: how many tasks of each kind there are for them, counted up to MANY; `held`: kind -> the task in hand."""

    today: int
    total: int
    open: Mapping[str, int]
    held: Mapping[str, int]


def history(db: Connection, labeler: str, before: int | None, limit: int, since: float) -> list[Done]:
    """Answers that hold, the newest first; those after `since` may still be changed."""
    rows = _SUBMISSIONS.where(submissions.c.labeler_id == labeler, holds(), submissions.c.reason != UNDONE)
    if before is not None:
        rows = rows.where(submissions.c.seq < before)
    return [_done(row, since) for row in db.execute(rows.order_by(submissions.c.seq.desc()).limit(limit))]


def done(db: Connection, labeler: str, submission_id: str, since: float) -> Done:
    """Raises NotAssigned where this is no answer of theirs."""
    row = db.execute(_SUBMISSIONS.where(submissions.c.labeler_id == labeler, submissions.c.id == submission_id)).first()
    if row is None:
        raise NotAssigned(f"{labeler} gave no answer {submission_id!r:.80}")
    return _done(row, since)


def progress(db: Connection, labeler: str, midnight: float) -> Progress:
    """Counts for their first page."""
    counted = sa.select(sa.func.count())
    today = counted.where(submissions.c.labeler_id == labeler, submissions.c.answered_at >= midnight,
                          submissions.c.supersedes_id.is_(None), submissions.c.outcome != "skipped")  # fmt: skip
    total = counted.where(assignments.c.labeler_id == labeler, assignments.c.state == "submitted")
    held = sa.select(tasks.c.kind, tasks.c.seq).join(assignments, assignments.c.task_id == tasks.c.id).where(
        assignments.c.labeler_id == labeler, assignments.c.state == "leased", tasks.c.status != "private")
    pool = db.scalar(sa.select(labelers.c.pool).where(labelers.c.id == labeler)) or ""
    parts = {kind: [sa.select(head(kind, p, gold).limit(MANY).subquery()) for p in {"", pool} for gold in (0, 1)]
             for kind in KINDS}  # fmt: skip
    open = {kind: min(MANY, db.scalar(counted.select_from(sa.union_all(*of).subquery()), {"labeler": labeler}))
            for kind, of in parts.items()}  # fmt: skip
    return Progress(db.scalar(today), db.scalar(total), open, {kind: task for kind, task in db.execute(held)})


def _done(row: sa.Row, since: float) -> Done:
    return Done(row.seq, row.submission_id, row.task, row.kind, row.outcome, row.reason, row.answered_at,
                row.answered_at >= since, Prompt(prompt_of(row).content), body_of(row.raw))  # fmt: skip


_SUBMISSIONS = (
    sa.select(submissions.c.seq, submissions.c.id.label("submission_id"), tasks.c.seq.label("task"), submissions.c.kind,
              submissions.c.outcome, submissions.c.reason, submissions.c.answered_at, submissions.c.raw, prompts)
    .select_from(submissions).join(tasks, tasks.c.id == submissions.c.task_id)
    .join(prompts, prompts.c.id == tasks.c.prompt_id)
)  # fmt: skip
