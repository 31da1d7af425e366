"""Questions whose answer is known: mixed unseen among the others, or asked as a quiz before the first one.

A labeler cannot tell them from the rest: same kinds, same form, nothing in an Assignment says so.  What a labeler says to
one is compared with what is expected, pair by pair and scale by scale; it is never trained on.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from heed.errors import UserError
from heed.feedback import schema
from heed.feedback.bodies import read_answer
from heed.feedback.forms import LETTERS, RANKED, form_of
from heed.feedback.people import log
from heed.feedback.reading import holds, watermark
from heed.feedback.schema import gold, ranking_items, ratings, submissions, task_items, tasks
from heed.feedback.store import SQLStore

TOLERANCE = 1  # steps by which a rating may differ and still be right


@dataclass(frozen=True)
class GoldAnswer:
    """How one answer compares with what was expected: `right` is a share between 0 and 1."""

    labeler: str
    task: int
    submission_id: str
    right: float
    note: str  # why the expected answer is right


@dataclass(frozen=True)
class Gold:
    """The known answers of a store."""

    store: SQLStore

    def set(self, by: str, task: int, body: Mapping[str, Any], note: str = "") -> None:
        """Say what is expected, as a labeler would, with A for the first of the task's items as they were asked.

        Raises InvalidAnswer for an answer that does not fit, UserError for a task without an answer to compare.
        """
        now = self.store.clock()
        with self.store.database.writing() as db:
            row = db.execute(sa.select(tasks).where(tasks.c.seq == task)).first()
            if row is None or row.kind not in (*RANKED, "rate"):
                raise UserError(f"task {task} can have no known answer: expected one of {', '.join((*RANKED, 'rate'))}")
            ids = db.scalars(sa.select(task_items.c.completion_id).where(task_items.c.task_id == row.id)
                             .order_by(task_items.c.item_no)).all()  # fmt: skip
            version = db.scalar(sa.select(schema.instructions.c.form).where(schema.instructions.c.kind == row.kind)
                                .order_by(schema.instructions.c.version.desc()).limit(1))  # fmt: skip
            answer = read_answer(row.kind, form_of(row.kind, version), LETTERS[: len(ids)], body)
            of = dict(zip(LETTERS, ids, strict=False))
            expected = {"ranks": {of[k]: v for k, v in answer.ranks.items()},
                        "ratings": {of[k]: dict(v) for k, v in answer.ratings.items()}}  # fmt: skip
            if db.scalar(sa.select(gold.c.task_id).where(gold.c.task_id == row.id)) is not None:
                raise UserError(f"task {task} has a known answer already")
            db.execute(sa.insert(gold), {"task_id": row.id, "expected": json.dumps(expected), "note": note,
                                         "since": watermark(db), "made_by": by, "made_at": now})  # fmt: skip
            db.execute(sa.update(tasks).where(tasks.c.id == row.id).values(gold=1))
            log(db, now, by, "known answer", str(task))

    def answers(self, labeler: str | None = None, pool: str | None = None) -> list[GoldAnswer]:
        """How each answer to such a question compares, in the order they came; skips are left out."""
        rows = sa.select(submissions.c.id, submissions.c.labeler_id, submissions.c.outcome, tasks.c.seq.label("task"),
                         gold.c.expected, gold.c.note)  # fmt: skip
        rows = rows.select_from(submissions).join(tasks, tasks.c.id == submissions.c.task_id)
        rows = rows.join(gold, gold.c.task_id == tasks.c.id).where(submissions.c.outcome != "skipped", holds())
        rows = rows.where(*([] if labeler is None else [submissions.c.labeler_id == labeler]))
        rows = rows.where(*([] if pool is None else [tasks.c.pool == pool])).order_by(submissions.c.seq)
        with self.store.database.reading() as db:
            return [GoldAnswer(row.labeler_id, row.task, row.id, _right(db, row), row.note) for row in db.execute(rows).all()]

    def score(self, labeler: str, pool: str | None = None) -> tuple[float, int]:
        """(sum of what was right, questions asked); `pool`: of one quiz."""
        found = self.answers(labeler, pool)
        return sum(answer.right for answer in found), len(found)


def _right(db: Connection, row: sa.Row) -> float:
    expected = json.loads(row.expected)
    ranked = sa.select(ranking_items).where(ranking_items.c.submission_id == row.id)
    given = {item.completion_id: item.rank for item in db.execute(ranked)}
    marks = list(_pairs(expected["ranks"], given))
    rated = {(r.completion_id, r.dimension): r.value
             for r in db.execute(sa.select(ratings).where(ratings.c.submission_id == row.id))}  # fmt: skip
    for completion, of in expected["ratings"].items():
        for name, value in of.items():
            marks.append(float(abs(rated.get((completion, name), value + 99) - value) <= TOLERANCE))
    return sum(marks) / len(marks) if marks else 0.0


def _pairs(expected: Mapping[str, int], given: Mapping[str, int]) -> Iterator[float]:
    """A mark for each pair: 1 in the expected order, a half where only one side sees a tie."""
    for a, b in combinations(expected, 2):
        if a not in given or b not in given:
            yield 0.0
            continue
        wanted, said = expected[a] - expected[b], given[a] - given[b]
        if wanted == 0 or said == 0:
            yield 1.0 if wanted == said else 0.5
        else:
            yield float((wanted < 0) == (said < 0))
