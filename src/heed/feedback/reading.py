"""Rows back into records.  Every function works inside the caller's transaction, which sees one moment of the store."""

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from heed.errors import UserError, nearest
from heed.feedback import schema
from heed.feedback.forms import RANKED
from heed.feedback.rows import SPLITS, candidate_of, prompt_of
from heed.feedback.schema import completions, gold, prompts, ranking_items, submissions, task_items, tasks
from heed.records import Candidate, Comparison, Demonstration, Judgement, Prompt, Ranking, Rating, content_id

Condition = sa.ColumnElement[bool]
PART = 500  # ids in one statement
_JUDGEMENT = [submissions.c[name] for name in ("id", "kind", "task_id", "labeler_id", "outcome", "strength", "seconds", "note",
                                               "answered_at")]  # fmt: skip


def holds(upto: int | None = None) -> Condition:
    """The submission was not corrected by a later one; `upto`: as things stood at that watermark."""
    later = submissions.alias("later")
    when = [] if upto is None else [later.c.seq <= upto]
    return ~sa.exists().where(later.c.supersedes_id == submissions.c.id, *when)


def judged() -> Condition:
    """Somebody gave a verdict on the task."""
    return sa.exists().where(submissions.c.task_id == tasks.c.id, submissions.c.outcome != "skipped", holds())


def comparisons(db: Connection, *where: Condition) -> list[Comparison]:
    """Those tasks that ask for an order and for which all of `where` is true."""
    where = (tasks.c.kind.in_(RANKED), *where)
    items = sa.select(task_items.c.task_id, completions).join(tasks, tasks.c.id == task_items.c.task_id)
    items = items.join(completions, completions.c.id == task_items.c.completion_id)
    items = items.join(prompts, prompts.c.id == tasks.c.prompt_id).where(*where)
    seen: dict[str, Candidate] = {}  # one object however often it is shown
    shown: dict[str, list[Candidate]] = {}
    for row in db.execute(items.order_by(tasks.c.seq, task_items.c.item_no)):
        candidate = seen.get(row.id) or seen.setdefault(row.id, candidate_of(row))
        shown.setdefault(row.task_id, []).append(candidate)
    asked = sa.select(tasks.c.id.label("task_id"), tasks.c.asked_at, prompts).join(prompts).where(*where)
    prompt: dict[str, Prompt] = {}
    found = []
    for row in db.execute(asked.order_by(tasks.c.seq)):
        about = prompt.get(row.id) or prompt.setdefault(row.id, prompt_of(row))
        found.append(Comparison(about, tuple(shown[row.task_id]), row.task_id, row.asked_at))
    return found


def edits(db: Connection, *where: Condition) -> list[Comparison]:
    """Each edit as a comparison of what was written with what it was made from, by the id of the submission."""
    items = sa.select(submissions.c.id.label("asked"), submissions.c.answered_at, completions)
    items = items.join(ranking_items, ranking_items.c.submission_id == submissions.c.id)
    items = items.join(completions, completions.c.id == ranking_items.c.completion_id)
    items = items.join(prompts, prompts.c.id == completions.c.prompt_id).where(submissions.c.kind == "edit", *where)
    shown: dict[str, list] = {}
    for row in db.execute(items.order_by(submissions.c.seq, ranking_items.c.shown_position)):
        shown.setdefault(row.asked, []).append(row)
    ids = {rows[0].prompt_id for rows in shown.values()}
    of = {row.id: prompt_of(row) for part in parts(ids) for row in db.execute(
        sa.select(prompts).where(prompts.c.id.in_(part)))}  # fmt: skip
    return [Comparison(of[rows[0].prompt_id], tuple(map(candidate_of, rows)), asked, rows[0].answered_at)
            for asked, rows in shown.items()]


def judgements(db: Connection, *where: Condition) -> list[Judgement]:
    """Answers to comparisons for which all of `where` is true."""
    edited = (submissions.c.kind == "edit") & (submissions.c.outcome == "answered")
    where = (submissions.c.kind.in_(RANKED) | edited, *where)
    ranked = sa.select(ranking_items).join(submissions, submissions.c.id == ranking_items.c.submission_id)
    ranked = ranked.join(tasks, tasks.c.id == submissions.c.task_id).join(prompts).where(*where)
    ranks: dict[str, dict[str, int]] = {}
    for row in db.execute(ranked.order_by(submissions.c.seq, ranking_items.c.shown_position)):
        ranks.setdefault(row.submission_id, {})[row.completion_id] = row.rank
    rows = sa.select(*_JUDGEMENT).join(tasks, tasks.c.id == submissions.c.task_id).join(prompts).where(*where)
    return [Judgement(row.id if row.kind == "edit" else row.task_id, row.labeler_id, ranks.get(row.id, {}), row.outcome,
                      row.strength, row.seconds, row.note, row.id, row.answered_at)
            for row in db.execute(rows.order_by(submissions.c.seq))]  # fmt: skip


def rankings(db: Connection, split: str | None, upto: int | None = None) -> list[Ranking]:
    """Answers that hold, beside what was asked.  Whoever knows the answer already does not train on it: no gold."""
    known = sa.exists().where(gold.c.task_id == submissions.c.task_id, *([] if upto is None else [gold.c.since < upto]))
    answered = judgements(db, *_held(upto), submissions.c.outcome == "answered", ~known, *_of(split))
    if not answered:
        return []
    once = sa.exists().where(submissions.c.task_id == tasks.c.id, submissions.c.outcome == "answered")
    of = {c.id: c for c in comparisons(db, once, *_of(split))}
    of |= {c.id: c for c in edits(db, *_held(upto), *_of(split))}
    return [Ranking(of[j.comparison_id], j) for j in answered]


def ratings(db: Connection, split: str | None, upto: int | None = None) -> list[Rating]:
    """Absolute scores, one Rating for each completion and scale of a submission."""
    table = schema.ratings
    rows = sa.select(submissions.c.id.label("submission_id"), submissions.c.labeler_id, table, completions)
    rows = rows.join(table, table.c.submission_id == submissions.c.id)
    rows = rows.join(completions, completions.c.id == table.c.completion_id).join(prompts).where(*_of(split), *_held(upto))
    found: dict[str, dict[tuple, list]] = {}
    for row in db.execute(rows.order_by(submissions.c.seq)):
        scale = (row.completion_id, row.scale_min, row.scale_max)
        found.setdefault(row.submission_id, {}).setdefault(scale, []).append(row)
    of = _prompts(db, split)
    return [Rating(of[rows[0].prompt_id], candidate_of(rows[0]), rows[0].labeler_id,
                   {row.dimension: row.value for row in rows}, low, high,
                   id if len(groups) == 1 else content_id("rating", id, completion, str(low), str(high)))
            for id, groups in found.items() for (completion, low, high), rows in groups.items()]  # fmt: skip


def demonstrations(db: Connection, split: str | None, upto: int | None = None) -> list[Demonstration]:
    """What people would have written."""
    table = schema.demonstrations
    rows = sa.select(submissions.c.labeler_id, completions.c.prompt_id, completions.c.text).select_from(submissions)
    rows = rows.join(table, table.c.submission_id == submissions.c.id)
    rows = rows.join(completions, completions.c.id == table.c.completion_id).join(prompts)
    rows = rows.where(*_of(split), *_held(upto)).order_by(submissions.c.seq, table.c.completion_id)
    of = _prompts(db, split)
    return [Demonstration(of[row.prompt_id], row.text, row.labeler_id) for row in db.execute(rows)]


def watermark(db: Connection) -> int:
    """The number of the last answer; 0 where there is none."""
    return db.scalar(sa.select(sa.func.max(submissions.c.seq))) or 0


def parts(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists short enough for one statement."""
    values = list(values)
    yield from (values[i : i + PART] for i in range(0, len(values), PART))


def _held(upto: int | None) -> list[Condition]:
    return [holds(upto)] if upto is None else [holds(upto), submissions.c.seq <= upto]


def _prompts(db: Connection, split: str | None) -> dict[str, Prompt]:
    return {row.id: prompt_of(row) for row in db.execute(sa.select(prompts).where(*_of(split)))}


def _of(split: str | None) -> list[Condition]:
    if split is None:
        return []
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}{nearest(split, SPLITS)}")
    return [prompts.c.split == split]
