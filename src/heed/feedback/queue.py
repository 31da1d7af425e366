"""Who is at work on which task, so that no two people are asked the same thing.

A task is claimed by at most `overlap` labelers, each by a lease that ends after a while.  A skip and an ended lease give
the place back.  `tasks.open_slots` = overlap - (leased + submitted), never below 0, is recounted whenever an assignment
changes.  A lease is only about who sees what: an answer that comes after its lease ended is still taken.

Tasks are handed out by priority, then by arrival.  The index of open tasks begins with (kind, pool, gold), so the first of
each such queue is one look-up however many tasks there are, and a claim compares the heads of those it may draw from.
SQLite has one writer at a time.  On PostgreSQL they run side by side, and whoever changes an assignment locks its task
before: a statement that counts assignments does not see those of a transaction for whose lock it had to wait.

Every function works inside the caller's transaction.
"""

import json
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from heed.feedback.forms import LEASE_SECONDS
from heed.feedback.rows import Row
from heed.feedback.schema import LEASED, OPEN, assignments, instructions, labelers, task_items, tasks
from heed.records import content_id

EXPIRE_AT_ONCE = 50  # so that no single claim pays for a whole crowd that went home


class Drawn(NamedTuple):
    """A task that somebody now works on."""

    task: int
    id: str
    kind: str


def claim(
    db: Connection,
    labeler: str,
    now: float,
    kinds: Sequence[str],
    *,
    lease_seconds: float | None = None,
    pool: str | None = None,
    gold: bool | None = None,
    besides: int = 0,
) -> Drawn | None:
    """The task of one of `kinds` that `labeler`, who is in `labelers`, now works on; None when nothing is left for them, or
    they are paused.

    Asking again before having answered gives the same task with a fresh lease: a reload or a second tab is harmless.
    `pool`: only tasks of that pool, instead of the labeler's and everybody's.  `gold`: rather a task whose answer is known
    (True) or rather not (False); None takes them as they come.  `lease_seconds`: for tasks that say nothing themselves.
    `besides`: the number of the task in hand, while the one after it is fetched; so two may be in hand, and no more.
    """
    who = db.execute(_LABELER, {"labeler": labeler}).one()
    pools = sorted({"", who.pool} if pool is None else {pool})
    held = db.execute(_HELD, {"labeler": labeler, "kinds": list(kinds), "pools": pools, "besides": besides}).first()
    if held is not None and _renewed(db, labeler, held, now, lease_seconds):
        return Drawn(held.seq, held.id, held.kind)
    if who.paused:
        return None
    for known in {None: ((0, 1),), True: ((1,), (0,)), False: ((0,), (1,))}[gold]:
        if task := _take(db, labeler, kinds, pools, known):
            _lease(db, labeler, task, now, lease_seconds)
            recount(db, [task.id])
            return Drawn(task.seq, task.id, task.kind)
    return None


def expired(db: Connection, now: float) -> bool:
    """Whether there are leases for `expire` to end."""
    return db.scalar(_ENDED.limit(1), {"now": now}) is not None


def expire(db: Connection, now: float) -> None:
    """Give back the places of leases that ended, of some at a time."""
    ended = [{"task": row.task_id, "labeler": row.labeler_id, "now": now} for row in db.execute(_ENDED, {"now": now})]
    if ended:
        ids = sorted({row["task"] for row in ended})
        if db.dialect.name != "sqlite":  # the others keep theirs until somebody looks again: nobody waits with locks in hand
            ids = db.scalars(sa.select(tasks.c.id).where(tasks.c.id.in_(ids)).with_for_update(skip_locked=True)).all()
        free = set(ids)
        if mine := [row for row in ended if row["task"] in free]:
            db.execute(_END, mine)
            recount(db, ids)


def lock(db: Connection, these: sa.ColumnElement[bool]) -> None:
    """Before assignments of these tasks are changed, and counted."""
    if db.dialect.name != "sqlite":
        db.execute(sa.select(tasks.c.seq).where(these).order_by(tasks.c.id).with_for_update())


def assign(db: Connection, rows: Sequence[Row]) -> None:
    """Set the state of (task, labeler); the tasks are locked."""
    if rows:
        db.execute(_ASSIGN[db.dialect.name], rows)


def recount(db: Connection, task_ids: Sequence[str]) -> None:
    """Bring `open_slots` of these tasks, which are locked, in line with their assignments."""
    db.execute(_RECOUNT, {"task_ids": list(task_ids)})


def order_shown(task_id: str, labeler: str, items: int) -> list[int]:
    """The order in which a labeler sees the items of a task: random, and the same whenever it is asked for."""
    order = list(range(items))
    random.Random(content_id("order", task_id, labeler)).shuffle(order)
    return order


def hold(db: Connection, task_id: str, labeler: str, items: int, now: float, instructions_id: str | None) -> None:
    """Give a private task to the labeler it was made for, without an end."""
    shown = json.dumps(order_shown(task_id, labeler, items))
    db.execute(_LEASE[db.dialect.name], {
        "task_id": task_id, "labeler_id": labeler, "state": "leased", "lease_expires_at": None, "leased_at": now,
        "instructions_id": instructions_id, "shown": shown})  # fmt: skip


def _take(db: Connection, labeler: str, kinds: Sequence[str], pools: Sequence[str], known: Sequence[int]):
    """The open task to hand out, locked; None where there is none."""
    queues = [(kind, pool, gold) for kind in kinds for pool in pools for gold in known]
    while heads := db.execute(_heads(tuple(queues)), {"labeler": labeler}).all():
        heads.sort(key=lambda head: (-head.priority, head.seq))
        if db.dialect.name == "sqlite":
            return heads[0]
        for patient in (False, True):  # whoever finds every head taken at this very moment waits for one
            for head in heads:
                queue = {"labeler": labeler, "kind": head.kind, "pool": head.pool, "gold": head.gold}
                if task := db.execute(_locked(patient), queue).first():
                    return task
    return None


def _renewed(db: Connection, labeler: str, task: sa.Row, now: float, lease_seconds: float | None) -> bool:
    """Whether the lease was still there to renew: the labeler may have answered at this very moment."""
    ends = now + _seconds(task, lease_seconds)
    return db.execute(_RENEW, {"task": task.id, "labeler": labeler, "ends": ends}).rowcount == 1


def _seconds(task: sa.Row, lease_seconds: float | None) -> float:
    return next(s for s in (task.lease_seconds, lease_seconds, LEASE_SECONDS[task.kind]) if s is not None)


def _lease(db: Connection, labeler: str, task: sa.Row, now: float, lease_seconds: float | None) -> None:
    version = task.instructions_id or db.scalar(_NEWEST, {"kind": task.kind})
    items = db.scalar(_ITEMS, {"task": task.id})
    db.execute(_LEASE[db.dialect.name], {
        "task_id": task.id, "labeler_id": labeler, "state": "leased", "leased_at": now,
        "lease_expires_at": now + _seconds(task, lease_seconds),
        "instructions_id": version, "shown": json.dumps(order_shown(task.id, labeler, items))})


def _seen() -> sa.Exists:
    """The labeler of the statement has been given the task; whoever let a lease end may have it again."""
    mine = (assignments.c.labeler_id == sa.bindparam("labeler")) & (assignments.c.state != "expired")
    return sa.exists().where(mine, assignments.c.task_id == tasks.c.id)


_WANTED = (tasks.c.seq, tasks.c.id, tasks.c.kind, tasks.c.pool, tasks.c.gold, tasks.c.priority, tasks.c.lease_seconds,
           tasks.c.instructions_id)  # fmt: skip


def head(kind: str, pool: str, gold: int) -> sa.Select:
    """The first open task of a queue that the labeler of the statement (a parameter) has not seen."""
    queue = (tasks.c.kind == kind, tasks.c.pool == pool, tasks.c.gold == gold)
    return sa.select(*_WANTED).where(OPEN, *queue, ~_seen()).order_by(tasks.c.priority.desc(), tasks.c.seq).limit(1)


@cache
def _heads(queues: tuple[tuple[str, str, int], ...]) -> sa.Select:
    """The first task of each queue, in one statement."""
    parts = [sa.select(head(*queue).subquery(f"q{i}")) for i, queue in enumerate(queues)]
    return sa.union_all(*parts) if len(parts) > 1 else parts[0]


@cache
def _locked(patient: bool) -> sa.Select:
    queue = head(sa.bindparam("kind"), sa.bindparam("pool"), sa.bindparam("gold"))
    return queue.with_for_update(of=tasks, skip_locked=not patient)


def _upsert(insert: Callable, *names: str) -> sa.Insert:
    statement = insert(assignments)
    new = {name: statement.excluded[name] for name in names}
    if "leased_at" in names:  # what stood on the screen first is what stands there when it is claimed again
        new["shown"] = sa.func.coalesce(assignments.c.shown, statement.excluded.shown)
    return statement.on_conflict_do_update(index_elements=["task_id", "labeler_id"], set_=new)


def _recount() -> sa.Update:
    taken = assignments.c.state.in_(["leased", "submitted"])
    n = sa.select(sa.func.count()).where(assignments.c.task_id == tasks.c.id, taken).scalar_subquery()
    free = sa.case((tasks.c.overlap > n, tasks.c.overlap - n), else_=0)
    return sa.update(tasks).where(tasks.c.id.in_(sa.bindparam("task_ids", expanding=True))).values(open_slots=free)


# Made once: putting these together takes longer than running them.
_STATE = ("state", "lease_expires_at")
_ASSIGN = {d.name: _upsert(insert, *_STATE) for d, insert in
           ((sqlite.dialect, sqlite.insert), (postgresql.dialect, postgresql.insert))}  # fmt: skip
_LEASE = {d.name: _upsert(insert, *_STATE, "leased_at", "instructions_id") for d, insert in
          ((sqlite.dialect, sqlite.insert), (postgresql.dialect, postgresql.insert))}  # fmt: skip
_RECOUNT = _recount()
_LABELER = (sa.select(labelers.c.pool, labelers.c.paused).where(labelers.c.id == sa.bindparam("labeler"))
            .with_for_update(key_share=True))  # one claim a labeler at a time  # fmt: skip
_HELD = (sa.select(*_WANTED).join(assignments, assignments.c.task_id == tasks.c.id)
         .where(assignments.c.labeler_id == sa.bindparam("labeler"), assignments.c.state == "leased",
                tasks.c.status.in_(["open", "paused"]), tasks.c.kind.in_(sa.bindparam("kinds", expanding=True)),
                tasks.c.pool.in_(sa.bindparam("pools", expanding=True)), tasks.c.seq != sa.bindparam("besides"))
         .order_by(assignments.c.leased_at).limit(1))  # fmt: skip
_ENDED = (sa.select(assignments.c.task_id, assignments.c.labeler_id)
          .where(LEASED, assignments.c.lease_expires_at <= sa.bindparam("now"))
          .limit(EXPIRE_AT_ONCE))  # fmt: skip
_HERS = (assignments.c.task_id == sa.bindparam("task"), assignments.c.labeler_id == sa.bindparam("labeler"),
         assignments.c.state == "leased")  # fmt: skip
_END = (sa.update(assignments).values(state="expired", lease_expires_at=None)
        .where(*_HERS, assignments.c.lease_expires_at <= sa.bindparam("now")))  # fmt: skip
_RENEW = sa.update(assignments).values(lease_expires_at=sa.bindparam("ends")).where(*_HERS)
_NEWEST = (sa.select(instructions.c.id).where(instructions.c.kind == sa.bindparam("kind"))
           .order_by(instructions.c.version.desc()).limit(1))  # fmt: skip
_ITEMS = sa.select(sa.func.count()).where(task_items.c.task_id == sa.bindparam("task"))
