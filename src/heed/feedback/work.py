"""What a manager does: put tasks before people, say how they are to be done, see how it goes.

    work = Work(store)
    work.ask([Task("rank", prompt, candidates, overlap=2)])
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from heed.errors import UserError, nearest
from heed.feedback import queue, schema, writing
from heed.feedback.assignment import Instructions, Media
from heed.feedback.forms import ITEMS, TALKS, check_kind, merged
from heed.feedback.people import log
from heed.feedback.reading import parts
from heed.feedback.rows import Batch, candidate_of, prompt_of
from heed.feedback.schema import KINDS, assignments, completions, instructions, prompts, submissions, task_items, tasks
from heed.feedback.store import SQLStore
from heed.records import Candidate, Prompt, new_id

STATUSES = ("open", "paused", "cancelled")


@dataclass(frozen=True)
class Task:
    """Something to be answered by `overlap` people."""

    kind: str
    prompt: Prompt
    candidates: tuple[Candidate, ...] = ()  # 2 to 9 to rank, 2 to compare, 1 to 9 to rate, 1 to edit, else none
    media: Mapping[str, Media] = field(default_factory=dict)  # candidate id -> clip; its text says what is to be seen
    overlap: int = 1
    priority: float = 0.0  # the greatest first
    pool: str = ""  # only for labelers of this pool
    lease_seconds: float | None = None
    mode: str = ""  # of a live comparison: helpful or red_team
    instructions: str | None = None  # the id of a version; None is the newest whenever it is claimed
    round: int | None = None
    id: str = field(default_factory=new_id)


@dataclass(frozen=True)
class TaskRow:
    """A task as a manager sees it."""

    task: int
    id: str
    kind: str
    mode: str
    prompt: Prompt
    status: str
    priority: float
    overlap: int
    open_slots: int
    answers: int
    pool: str
    gold: bool
    round: int | None
    items: tuple[Candidate, ...] = ()  # only from `task`


@dataclass(frozen=True)
class Counts:
    """Tasks of a kind; `open`: some place is free."""

    tasks: int
    open: int
    answers: int


@dataclass(frozen=True)
class Work:
    """The tasks of a store."""

    store: SQLStore

    def ask(self, asked: Sequence[Task]) -> list[int]:
        """Put tasks before people, all or none: the number of each.  One whose id is there already stays as it was.

        Raises UserError for a task that cannot be done as it stands.
        """
        batch, now = Batch(), self.store.clock()
        for task in asked:
            _check(task)
            batch.prompt(task.prompt)
            for candidate in task.candidates:
                batch.completion(task.prompt, candidate)
        with self.store.database.writing() as db:
            media = {f"{m.sha256}:{m.path}": m for task in asked for m in task.media.values()}
            writing.insert_missing(db, schema.media, [
                {"id": id, "sha256": m.sha256, "mime": m.mime, "path": m.path} for id, m in media.items()])
            clips = {c: f"{m.sha256}:{m.path}" for task in asked for c, m in task.media.items()}
            writing.texts(db, batch, clips)
            present = writing.present(db, tasks, [task.id for task in asked])
            new = [task for task in {t.id: t for t in asked}.values() if task.id not in present]
            writing.insert_missing(db, tasks, [_row(task, now) for task in new])
            writing.insert_missing(db, task_items, [
                {"task_id": task.id, "item_no": i, "completion_id": candidate.id}
                for task in new for i, candidate in enumerate(task.candidates)])
            number = {id: seq for part in parts(task.id for task in asked) for id, seq in db.execute(
                sa.select(tasks.c.id, tasks.c.seq).where(tasks.c.id.in_(part)))}  # fmt: skip
            return [number[task.id] for task in asked]

    def review(self, task: int, by: str, priority: float = 0.0) -> int:
        """Have somebody look at the answers to a task: the number of the review."""
        now = self.store.clock()
        with self.store.database.writing() as db:
            row = db.execute(sa.select(tasks).where(tasks.c.seq == task)).first()
            if row is None or row.kind in ("review", *TALKS):
                raise UserError(f"task {task} cannot be reviewed: expected one whose answers stand side by side")
            id = new_id()
            db.execute(sa.insert(tasks), {
                "id": id, "kind": "review", "prompt_id": row.prompt_id, "overlap": 1, "open_slots": 1, "asked_at": now,
                "priority": priority, "parent_id": row.id, "round_n": row.round_n})  # fmt: skip
            items = sa.select(sa.literal(id), task_items.c.item_no, task_items.c.completion_id)
            db.execute(sa.insert(task_items).from_select(["task_id", "item_no", "completion_id"],
                                                         items.where(task_items.c.task_id == row.id)))  # fmt: skip
            log(db, now, by, "ask for a review", str(task))
            return db.scalar(sa.select(tasks.c.seq).where(tasks.c.id == id))

    def reviews(self, ids: Sequence[str]) -> dict[str, tuple[int, int | None]]:
        """Id -> (number of the task, number of the last review that was asked for), of those that are tasks."""
        asked = tasks.alias()
        last = sa.select(sa.func.max(asked.c.seq)).where(asked.c.parent_id == tasks.c.id, asked.c.kind == "review")
        rows = sa.select(tasks.c.id, tasks.c.seq, last.scalar_subquery())
        with self.store.database.reading() as db:
            return {id: (seq, review) for part in parts(ids)
                    for id, seq, review in db.execute(rows.where(tasks.c.id.in_(part)))}  # fmt: skip

    def set(self, by: str, numbers: Sequence[int], **changes: Any) -> None:
        """Change `priority`, `overlap`, `pool` or `status` (open, paused or cancelled) of tasks."""
        for name in changes:
            if name not in ("priority", "overlap", "pool", "status"):
                raise UserError(f"a task's {name!r} does not change{nearest(name, ['priority', 'overlap', 'pool', 'status'])}")
        if changes.get("status", "open") not in STATUSES:
            raise UserError(f"unknown status {changes['status']!r}{nearest(str(changes['status']), STATUSES)}")
        if changes.get("overlap", 1) < 1:
            raise UserError(f"overlap is {changes['overlap']}; expected at least 1 labeler a task")
        with self.store.database.writing() as db:
            for part in parts(numbers):
                these = tasks.c.seq.in_(part) & (tasks.c.status != "private")
                queue.lock(db, these)
                ids = db.scalars(sa.select(tasks.c.id).where(these)).all()
                if "overlap" in changes:  # all places are closed first: never more may be open than there are
                    db.execute(sa.update(tasks).where(these).values(open_slots=0))
                db.execute(sa.update(tasks).where(these).values(**changes))
                queue.recount(db, ids)
            log(db, self.store.clock(), by, "change tasks", f"{len(numbers)} tasks", {"tasks": list(numbers)[:50], **changes})

    def tasks(self, *, kind: str | None = None, status: str | None = None, round: int | None = None, after: int = 0,
              limit: int = 50) -> list[TaskRow]:  # fmt: skip
        """In the order of arrival; page on with `after` = the last number."""
        where = [tasks.c.seq > after]
        where += [] if kind is None else [tasks.c.kind == kind]
        where += [tasks.c.status != "private"] if status is None else [tasks.c.status == status]
        where += [] if round is None else [tasks.c.round_n == round]
        with self.store.database.reading() as db:
            return [_task(row) for row in db.execute(_TASKS.where(*where).order_by(tasks.c.seq).limit(limit))]

    def task(self, number: int) -> TaskRow:
        """One task with what it shows.  Raises UserError where there is none."""
        with self.store.database.reading() as db:
            row = db.execute(_TASKS.where(tasks.c.seq == number)).first()
            if row is None:
                raise UserError(f"there is no task {number}")
            items = sa.select(completions).join(task_items, task_items.c.completion_id == completions.c.id)
            found = db.execute(items.where(task_items.c.task_id == row.task_id).order_by(task_items.c.item_no))
            return _task(row, tuple(candidate_of(item) for item in found))

    def counts(self) -> dict[str, Counts]:
        """By kind, those that there are."""
        count = sa.func.count()
        free = sa.func.sum(sa.case(((tasks.c.open_slots > 0) & (tasks.c.status == "open"), 1), else_=0))
        asked = sa.select(tasks.c.kind, count, free).group_by(tasks.c.kind)
        given = sa.select(submissions.c.kind, count).where(
            submissions.c.supersedes_id.is_(None), submissions.c.outcome != "skipped", submissions.c.task_id.is_not(None))
        with self.store.database.reading() as db:
            answers = {kind: n for kind, n in db.execute(given.group_by(submissions.c.kind))}
            found = {kind: Counts(n, open, answers.get(kind, 0)) for kind, n, open in db.execute(asked)}
        return {kind: found[kind] for kind in KINDS if kind in found}

    def instruct(self, by: str, kind: str, body: str, form: Mapping[str, Any] | None = None) -> Instructions:
        """A new version of the instructions for a kind; it holds for whatever is claimed from now on."""
        check_kind(kind)
        text, now, id = merged(kind, form or {}), self.store.clock(), new_id()
        with self.store.database.writing() as db:
            last = db.scalar(sa.select(sa.func.max(instructions.c.version)).where(instructions.c.kind == kind)) or 0
            row = {"id": id, "kind": kind, "version": last + 1, "body": body, "form": text, "made_by": by, "made_at": now}
            db.execute(sa.insert(instructions), row)
            log(db, now, by, "instructions", f"{kind} {last + 1}")
        return Instructions(**row)

    def instructions(self, kind: str) -> list[Instructions]:
        """All versions, the newest first."""
        rows = sa.select(instructions).where(instructions.c.kind == kind).order_by(instructions.c.version.desc())
        with self.store.database.reading() as db:
            return [Instructions(**row) for row in db.execute(rows).mappings()]

    def labelers(self) -> dict[str, tuple[int, float]]:
        """Name -> (answers, skips left out; mean seconds of work an answer)."""
        seconds = sa.func.avg(submissions.c.seconds)
        rows = sa.select(submissions.c.labeler_id, sa.func.count(), seconds).where(submissions.c.outcome != "skipped")
        with self.store.database.reading() as db:
            return {name: (n, mean) for name, n, mean in db.execute(rows.group_by(submissions.c.labeler_id))}


def _check(task: Task) -> None:
    check_kind(task.kind)
    where = f"task {task.id!r}"
    if task.kind == "review":
        raise UserError(f"{where}: a review is asked for with `review`")
    low, high = ITEMS[task.kind]
    ids = [candidate.id for candidate in task.candidates]
    if not low <= len(ids) <= high:
        raise UserError(f"{where}: {len(ids)} candidates to {task.kind}; expected {low if low == high else f'{low} to {high}'}")
    if len(set(ids)) < len(ids):
        raise UserError(f"{where} holds a candidate twice")
    if task.kind == "clips" and set(task.media) != set(ids):
        raise UserError(f"{where}: expected a clip for each of its candidates")
    if (task.kind == "live_compare") != bool(task.mode) or task.mode not in ("", "helpful", "red_team"):
        raise UserError(f"{where}: mode is {task.mode!r}; expected helpful or red_team for live_compare, else none")
    if task.overlap < 1:
        raise UserError(f"{where}: overlap is {task.overlap}; expected at least 1")
    for media in task.media.values():
        if media.path.startswith("/") or ".." in media.path.split("/") or "\\" in media.path:
            raise UserError(f"{where}: {media.path!r} leads out of the folder of clips")


def _row(task: Task, now: float) -> dict[str, Any]:
    return {
        "id": task.id, "kind": task.kind, "prompt_id": task.prompt.id, "overlap": task.overlap, "open_slots": task.overlap,
        "asked_at": now, "mode": task.mode, "priority": float(task.priority), "lease_seconds": task.lease_seconds,
        "pool": task.pool, "instructions_id": task.instructions, "round_n": task.round}  # fmt: skip


def _task(row: sa.Row, items: tuple[Candidate, ...] = ()) -> TaskRow:
    return TaskRow(row.seq, row.task_id, row.kind, row.mode, prompt_of(row), row.status, row.priority, row.overlap,
                   row.open_slots, row.answers, row.pool, bool(row.gold), row.round_n, items)  # fmt: skip


_ANSWERS = sa.select(sa.func.count()).where(
    assignments.c.task_id == tasks.c.id, assignments.c.state == "submitted").scalar_subquery()  # fmt: skip
_TASKS = sa.select(tasks.c.seq, tasks.c.id.label("task_id"), tasks.c.kind, tasks.c.mode, tasks.c.status, tasks.c.priority,
                   tasks.c.overlap, tasks.c.open_slots, tasks.c.pool, tasks.c.gold, tasks.c.round_n,
                   _ANSWERS.label("answers"), prompts).select_from(tasks).join(prompts)  # fmt: skip
