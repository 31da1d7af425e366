"""The desk at which people answer: take a task, keep a draft, hand in an answer, change your mind.

    desk = Desk(store)
    assignment = desk.claim("ann")
    desk.submit("ann", assignment.task, "0198c0de-...", {"ranks": {"A": 1, "B": 2, "C": 2}})

An answer is on disk when `submit` returns.  Sending it again, after a timeout or a restart, is harmless: its id is made
by whoever answers.  Work is never thrown away: what comes after its lease ended, or after its task was cancelled, is kept
and marked late.  A task is named by its number and the labeler, so that nobody can reach what is another's.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from heed.errors import UserError, nearest
from heed.feedback import queue, schema, talks, writing
from heed.feedback.assignment import Assignment, Draft, NotAssigned, Sheet, load_sheet
from heed.feedback.bodies import Answer, InvalidAnswer, checked_id, read_answer
from heed.feedback.filing import UNDONE, Conflict, Envelope, Receipt, file
from heed.feedback.forms import LEASE_SECONDS, SKIP_REASONS, TALKS
from heed.feedback.history import Done, Progress, done, history, progress
from heed.feedback.schema import KINDS, assignments, drafts, submissions, tasks
from heed.feedback.store import SQLStore

MAX_DRAFT = 300_000  # characters


class TooLate(UserError):
    """The time in which an answer may be changed is over."""


@dataclass(frozen=True)
class Desk:
    """`gold_share`: of the tasks handed out, how many are to have a known answer, as long as there are any.
    `revise_seconds`: how long after an answer its labeler may change it."""

    store: SQLStore
    gold_share: float = 0.0
    revise_seconds: float = 86_400.0

    def claim(self, labeler: str, kinds: Sequence[str] | None = None, pool: str | None = None) -> Assignment | None:
        """What `draw` draws, with everything that stands on it."""
        found = self.draw(labeler, kinds, pool)
        return self.assignment(labeler, found.task) if found else None

    def draw(self, labeler: str, kinds: Sequence[str] | None = None, pool: str | None = None,
             besides: int = 0) -> queue.Drawn | None:
        """The task to work on next: the one in hand, else by priority and arrival.  None when nothing is left for them.

        `kinds`: all but reviews, where nothing is said.  `pool`: only tasks of this pool (a screening quiz), instead of
        those of the labeler's own and of everybody's.  `besides`: the one in hand, whose successor is fetched early.
        """
        kinds = [kind for kind in KINDS if kind != "review"] if kinds is None else list(kinds)
        for kind in kinds:
            if kind not in KINDS:
                raise UserError(f"unknown kind of task {kind!r}{nearest(kind, KINDS)}")
        gold = random.random() < self.gold_share if self.gold_share else None
        return self.store.draw(labeler, kinds, pool=pool, gold=gold, besides=besides)

    def assignment(self, labeler: str, task: int) -> Assignment:
        """A task that was given to this labeler, whatever became of it.  Raises NotAssigned for any other."""
        return self._sheet(labeler, task).assignment

    def renew(self, labeler: str, task: int) -> float:
        """When the lease now ends.  A lease that had ended begins anew if the place is still free."""
        now = self.store.clock()
        with self.store.database.writing(ordered=False) as db:
            queue.lock(db, tasks.c.seq == task)
            row = db.execute(_LEASE, {"labeler": labeler, "task": task}).first()
            if row is None:
                raise NotAssigned(f"task {task} was not given to {labeler}")
            if row.state not in ("leased", "expired") or (row.state == "expired" and row.open_slots == 0):
                return row.lease_expires_at or now
            if row.state == "leased" and row.lease_expires_at is None:
                return now + LEASE_SECONDS[row.kind]  # a turn of one's own conversation: nobody else waits for it
            ends = now + (row.lease_seconds or LEASE_SECONDS[row.kind])
            queue.assign(db, [{"task_id": row.id, "labeler_id": labeler, "state": "leased", "lease_expires_at": ends}])
            queue.recount(db, [row.id])
            return ends

    def save_draft(self, labeler: str, task: int, body: Mapping[str, Any], rev: int) -> Draft:
        """The draft that is now kept: this one, unless a later `rev` (the page's own count) is there already."""
        text = json.dumps(dict(body), ensure_ascii=False)
        if len(text) > MAX_DRAFT:
            raise InvalidAnswer({"body": f"is too long to keep: {len(text):,} of at most {MAX_DRAFT:,} characters"})
        if isinstance(rev, bool) or not isinstance(rev, int) or not 0 <= rev < 2**62:
            raise InvalidAnswer({"rev": "expected a whole number, 0 or more"})
        with self.store.database.writing(ordered=False) as db:
            row = db.execute(_LEASE, {"labeler": labeler, "task": task}).first()
            if row is None:
                raise NotAssigned(f"task {task} was not given to {labeler}")
            save_draft(db, row.id, labeler, text, rev, self.store.clock())
            kept = db.execute(_DRAFT, {"task_id": row.id, "labeler": labeler}).one()
        return Draft(json.loads(kept.body), kept.rev, kept.saved_at)

    def draft(self, labeler: str, task: int) -> Draft | None:
        """What was saved last and not handed in yet."""
        return self.assignment(labeler, task).draft

    def submit(
        self, labeler: str, task: int, submission_id: str, body: Mapping[str, Any], raw: bytes | None = None
    ) -> Receipt:
        """Hand in an answer; on return it is on disk.  `raw`: the bytes that were received, where they were JSON.

        Raises InvalidAnswer (nothing is kept), Conflict (another answer is there; nothing is overwritten), NotAssigned.
        """
        sheet = self._sheet(labeler, task)
        return self._file(sheet, self._envelope(sheet, submission_id, body, raw))

    def skip(self, labeler: str, task: int, submission_id: str, reason: str, note: str = "") -> Receipt:
        """Leave a task to somebody else, for a reason from SKIP_REASONS; it is not offered to this labeler again."""
        if reason not in SKIP_REASONS:
            raise InvalidAnswer({"reason": f"expected one of {', '.join(SKIP_REASONS)}"})
        sheet = self._sheet(labeler, task)
        answer = Answer(outcome="skipped", reason=reason, note=note)
        raw = _json({"outcome": "skipped", "reason": reason, "note": note})
        return self._file(sheet, Envelope(checked_id("submission_id", submission_id), answer, raw, self.store.clock()))

    def revise(
        self, labeler: str, submission_id: str, old_id: str, body: Mapping[str, Any], raw: bytes | None = None
    ) -> Receipt:
        """Put another answer in the place of one's own.  Raises TooLate, and what `submit` raises."""
        old = self._changeable(labeler, old_id, submission_id)
        sheet = self._sheet(labeler, old.task)
        return self._file(sheet, replace(self._envelope(sheet, submission_id, body, raw), revises=old_id))

    def undo(self, labeler: str, submission_id: str, old_id: str) -> Assignment:
        """Take an answer, or a skip, back: the task is in hand again, with what was answered as its draft.

        Raises TooLate, NotAssigned, and Conflict where somebody else took the place of a task that was skipped.
        """
        old = self._changeable(labeler, old_id, submission_id)
        sheet, now = self._sheet(labeler, old.task), self.store.clock()
        answer = Answer(outcome="skipped", reason=UNDONE)
        envelope = Envelope(checked_id("submission_id", submission_id), answer, _json({"undo": old_id}), now, revises=old_id)
        with self.store.database.writing() as db:
            queue.lock(db, tasks.c.seq == old.task)
            row = db.execute(_LEASE, {"labeler": labeler, "task": old.task}).one()
            if old.outcome == "skipped" and row.open_slots == 0:
                raise Conflict("somebody else has this task now")
            if file(db, sheet, envelope).outcome != "replay":
                ends = None if row.status == "private" else now + (row.lease_seconds or LEASE_SECONDS[row.kind])
                queue.assign(db, [{"task_id": row.id, "labeler_id": labeler, "state": "leased", "lease_expires_at": ends}])
                queue.recount(db, [row.id])
                if old.body is not None and old.outcome != "skipped":
                    save_draft(db, row.id, labeler, json.dumps(old.body), 0, now)
        return self.assignment(labeler, old.task)

    def my_work(self, labeler: str, before: int | None = None, limit: int = 50) -> list[Done]:
        """What they answered and skipped, corrected answers left out, the newest first; page on with `before` = a seq."""
        with self.store.database.reading() as db:
            return history(db, labeler, before, limit, self.store.clock() - self.revise_seconds)

    def done(self, labeler: str, submission_id: str) -> Done:
        """One of their answers.  Raises NotAssigned for any other."""
        with self.store.database.reading() as db:
            return done(db, labeler, submission_id, self.store.clock() - self.revise_seconds)

    def progress(self, labeler: str, midnight: float) -> Progress:
        """How much they have done, today (since `midnight`) and in all, and what there is to do."""
        with self.store.database.reading() as db:
            return progress(db, labeler, midnight)

    def acknowledge(self, labeler: str, instructions_id: str) -> None:
        """They have read this version."""
        row = {"labeler_id": labeler, "instructions_id": instructions_id, "at": self.store.clock()}
        with self.store.database.writing(ordered=False) as db:
            known = sa.select(schema.instructions.c.id).where(schema.instructions.c.id == instructions_id)
            if db.scalar(known) is None:
                raise NotAssigned(f"there are no instructions {instructions_id!r}")
            writing.introduce(db, [labeler])
            writing.insert_missing(db, schema.acknowledgements, [row])

    def _sheet(self, labeler: str, task: int) -> Sheet:
        with self.store.database.reading() as db:
            return load_sheet(db, labeler, task)

    def _envelope(self, sheet: Sheet, id: str, body: Mapping[str, Any], raw: bytes | None) -> Envelope:
        """Everything that takes time is done here, before the transaction that writes."""
        checked_id("submission_id", id)
        kind = sheet.assignment.kind
        answer = read_answer(kind, sheet.assignment.form, sheet.letters, body)
        if kind == "edit" and answer.outcome == "answered" and answer.text.strip() == sheet.assignment.items[0].text.strip():
            raise InvalidAnswer({"text": "is unchanged; skip the task where there is nothing to edit"})
        ended = ()
        if kind in TALKS and answer.outcome == "answered":
            with self.store.database.reading() as db:
                ended = talks.ended(db, sheet, answer.leaf)
        return Envelope(id, answer, _json(dict(body)) if raw is None else raw, self.store.clock(), ended=ended)

    def _file(self, sheet: Sheet, envelope: Envelope) -> Receipt:
        with self.store.database.writing() as db:
            return file(db, sheet, envelope)

    def _changeable(self, labeler: str, old_id: str, new_id: str) -> Done:
        old = self.done(labeler, old_id)
        with self.store.database.reading() as db:
            sent = db.scalar(sa.select(submissions.c.id).where(submissions.c.id == new_id))
        if not old.revisable and sent is None:
            raise TooLate("the time in which this answer may be changed is over")
        return old


def save_draft(db: Connection, task_id: str, labeler: str, text: str, rev: int, now: float) -> None:
    """Keep it, unless what is there has a later `rev`."""
    insert = sqlite.insert if db.dialect.name == "sqlite" else postgresql.insert
    statement = insert(drafts)
    new = {name: statement.excluded[name] for name in ("body", "rev", "saved_at")}
    statement = statement.on_conflict_do_update(
        index_elements=["task_id", "labeler_id"], set_=new, where=drafts.c.rev <= statement.excluded.rev)  # fmt: skip
    db.execute(statement, {"task_id": task_id, "labeler_id": labeler, "body": text, "rev": rev, "saved_at": now})


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()  # ASCII: half surrogates survive


_LEASE = (
    sa.select(tasks.c.id, tasks.c.kind, tasks.c.open_slots, tasks.c.lease_seconds, tasks.c.status, assignments.c.state,
              assignments.c.lease_expires_at)
    .join(assignments, assignments.c.task_id == tasks.c.id)
    .where(tasks.c.seq == sa.bindparam("task"), assignments.c.labeler_id == sa.bindparam("labeler"))
)  # fmt: skip
_DRAFT = sa.select(drafts).where(
    drafts.c.task_id == sa.bindparam("task_id"), drafts.c.labeler_id == sa.bindparam("labeler"))  # fmt: skip
