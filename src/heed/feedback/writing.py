"""How rows are added: what is there stays, what refers to something is checked against it.

Every function works inside the caller's transaction.
"""

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from heed.errors import UserError
from heed.feedback import queue, schema
from heed.feedback.reading import parts
from heed.feedback.rows import Batch, Row, check_same, dense, judgement_row
from heed.records import Judgement


def write(db: Connection, batch: Batch, overlap: int) -> None:
    """Add what is not there yet.  Raises UserError, and the caller's transaction undoes everything."""
    introduce(db, batch.labelers())
    texts(db, batch)
    _comparisons(db, batch, overlap)
    _judgements(db, batch)
    _others(db, batch)


def introduce(db: Connection, labelers: Iterable[str], kind: str = "unknown") -> None:
    """Labelers by name; a kind already known stays."""
    insert_missing(db, schema.labelers, [{"id": name, "kind": kind} for name in labelers])


def insert_missing(db: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert; a row whose key is already there is left as it was."""
    if rows:
        insert = sqlite.insert if db.dialect.name == "sqlite" else postgresql.insert
        db.execute(insert(table).on_conflict_do_nothing(), rows)


def present(db: Connection, table: sa.Table, ids: Iterable[str]) -> set[str]:
    """Those of `ids` that the table holds."""
    return {id for part in parts(ids) for id in db.scalars(sa.select(table.c.id).where(table.c.id.in_(part)))}


def texts(db: Connection, batch: Batch, clips: Mapping[str, str] | None = None) -> None:
    """Prompts and completions that are not there yet; `clips`: completion -> media."""
    clips = clips or {}
    _texts(db, schema.prompts, batch.prompts)
    _texts(db, schema.completions, {id: {**row, "media_id": clips.get(id)} for id, row in batch.completions.items()})


def _texts(db: Connection, table: sa.Table, rows: dict[str, Row]) -> None:
    for part in parts(rows):
        for found in db.execute(sa.select(table).where(table.c.id.in_(part))).mappings():
            check_same(found, rows[found["id"]])
    insert_missing(db, table, list(rows.values()))


def _comparisons(db: Connection, batch: Batch, overlap: int) -> None:
    there = present(db, schema.tasks, batch.comparisons)
    new = [c for c in batch.comparisons.values() if c.id not in there]
    insert_missing(db, schema.tasks, [
        {"id": c.id, "kind": "rank", "prompt_id": c.prompt.id, "overlap": overlap, "open_slots": overlap,
         "asked_at": float(c.asked_at)} for c in new])
    insert_missing(db, schema.task_items, [
        {"task_id": c.id, "item_no": place, "completion_id": candidate.id}
        for c in new for place, candidate in enumerate(c.candidates)])


def _judgements(db: Connection, batch: Batch) -> None:
    there = present(db, schema.submissions, batch.judgements)
    new = [j for j in batch.judgements.values() if j.id not in there]
    asked = list(dict.fromkeys(j.comparison_id for j in new))
    candidates, latest = _candidates(db, asked), _in_force(db, asked)
    rows, items = [], []
    for judgement in new:
        if judgement.comparison_id not in candidates:
            raise UserError(f"judgement {judgement.id!r} answers comparison {judgement.comparison_id!r}, "
                            "which is not in the store")
        # The order in which `ranks` names the candidates is the order in which the labeler saw them.
        items += [{"submission_id": judgement.id, "completion_id": id, "rank": rank, "shown_position": place}
                  for place, (id, rank) in enumerate(dense(judgement, candidates[judgement.comparison_id]).items())]
        who = (judgement.comparison_id, judgement.labeler)
        rows.append(judgement_row(judgement, latest.get(who)))
        latest[who] = judgement.id
    insert_missing(db, schema.submissions, rows)
    insert_missing(db, schema.ranking_items, items)
    _settle(db, new)


def _settle(db: Connection, judgements: list[Judgement]) -> None:
    states = {(j.comparison_id, j.labeler): "skipped" if j.outcome == "skipped" else "submitted" for j in judgements}
    for part in parts(sorted({task for task, _ in states})):
        queue.lock(db, schema.tasks.c.id.in_(part))
    queue.assign(db, [{"task_id": task, "labeler_id": labeler, "state": state, "lease_expires_at": None}
                      for (task, labeler), state in states.items()])
    for part in parts(dict.fromkeys(task for task, _ in states)):
        queue.recount(db, part)


def _candidates(db: Connection, comparisons: list[str]) -> dict[str, list[str]]:
    items, found = schema.task_items.c, {}
    for part in parts(comparisons):
        rows = sa.select(items.task_id, items.completion_id).where(items.task_id.in_(part))
        for task, completion in db.execute(rows.order_by(items.task_id, items.item_no)):
            found.setdefault(task, []).append(completion)
    return found


def _in_force(db: Connection, comparisons: list[str]) -> dict[tuple[str, str], str]:
    """The last answer of each labeler to each comparison."""
    answers, latest = schema.submissions.c, {}
    for part in parts(comparisons):
        rows = sa.select(answers.task_id, answers.labeler_id, answers.id).where(answers.task_id.in_(part))
        for task, labeler, id in db.execute(rows.order_by(answers.seq)):
            latest[task, labeler] = id
    return latest


def _others(db: Connection, batch: Batch) -> None:
    there = present(db, schema.submissions, batch.others)
    new = [(submission, rows) for id, (submission, rows) in batch.others.items() if id not in there]
    insert_missing(db, schema.submissions, [submission for submission, _ in new])
    for kind, table in (("rate", schema.ratings), ("demonstrate", schema.demonstrations)):
        insert_missing(db, table, [row for submission, rows in new if submission["kind"] == kind for row in rows])
