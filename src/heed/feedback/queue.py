"""Who is at work on which comparison, so that no two people are asked the same thing.

A comparison is claimed by at most `overlap` labelers, each by a lease that ends after a while.  A skip and an ended
lease give the place back.  `tasks.open_slots` = overlap - (leased + submitted), never below 0, is recounted whenever
an assignment changes.  A lease is only about who sees what: an answer that comes after its lease ended is still taken.

Every function works inside the caller's transaction.
"""

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from heed.feedback.rows import Row
from heed.feedback.schema import OPEN, assignments, tasks

EXPIRE_AT_ONCE = 50  # so that no single claim pays for a whole crowd that went home


def claim(db: Connection, labeler: str, now: float, lease_seconds: float) -> str | None:
    """The comparison (its id) that `labeler`, who is in `labelers`, now works on; None when nothing is left for them.

    Asking again before having answered gives the same comparison with a fresh lease: a reload or a second tab is harmless.
    """
    _expire(db, now)
    mine = (assignments.c.labeler_id == labeler) & (assignments.c.state != "expired")
    task = db.scalar(sa.select(assignments.c.task_id).where(mine, assignments.c.state == "leased").limit(1))
    if task is None:
        seen = sa.exists().where(mine, assignments.c.task_id == tasks.c.id)
        task = db.scalar(sa.select(tasks.c.id).where(OPEN, ~seen).order_by(tasks.c.seq).limit(1))
    if task is None:
        return None
    assign(db, [{"task_id": task, "labeler_id": labeler, "state": "leased", "lease_expires_at": now + lease_seconds}])
    recount(db, [task])
    return task


def assign(db: Connection, rows: Sequence[Row]) -> None:
    """Set the state of (task, labeler)."""
    if rows:
        db.execute(_ASSIGN[db.dialect.name], rows)


def recount(db: Connection, task_ids: Sequence[str]) -> None:
    """Bring `open_slots` of these tasks in line with their assignments."""
    db.execute(_RECOUNT, {"task_ids": task_ids})


def _expire(db: Connection, now: float) -> None:
    ended = sa.select(assignments.c.task_id, assignments.c.labeler_id).where(
        assignments.c.state == "leased", assignments.c.lease_expires_at <= now).limit(EXPIRE_AT_ONCE)
    rows = [{**row, "state": "expired", "lease_expires_at": None} for row in db.execute(ended).mappings()]
    assign(db, rows)
    if rows:
        recount(db, list({row["task_id"] for row in rows}))


def _assign(insert: Callable) -> sa.Insert:
    statement = insert(assignments)
    new = {name: statement.excluded[name] for name in ("state", "lease_expires_at")}
    return statement.on_conflict_do_update(index_elements=["task_id", "labeler_id"], set_=new)


def _recount() -> sa.Update:
    taken = assignments.c.state.in_(["leased", "submitted"])
    n = sa.select(sa.func.count()).where(assignments.c.task_id == tasks.c.id, taken).scalar_subquery()
    free = sa.case((tasks.c.overlap > n, tasks.c.overlap - n), else_=0)
    return sa.update(tasks).where(tasks.c.id.in_(sa.bindparam("task_ids", expanding=True))).values(open_slots=free)


# Made once: putting these two together takes longer than running them.
_ASSIGN = {"sqlite": _assign(sqlite.insert), "postgresql": _assign(postgresql.insert)}
_RECOUNT = _recount()
