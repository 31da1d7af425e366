"""Rows back into records.  Every function works inside the caller's transaction, which sees one moment of the store."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from heed.errors import UserError, nearest
from heed.feedback import schema
from heed.feedback.rows import SPLITS, candidate_of, prompt_of
from heed.feedback.schema import completions, prompts, ranking_items, submissions, task_items, tasks
from heed.records import Candidate, Comparison, Demonstration, Judgement, Prompt, Ranking, Rating

Condition = sa.ColumnElement[bool]


def holds() -> Condition:
    """The submission was not corrected by a later one."""
    later = submissions.alias("later")
    return ~sa.exists().where(later.c.supersedes_id == submissions.c.id)


def judged() -> Condition:
    """Somebody gave a verdict on the task."""
    return sa.exists().where(submissions.c.task_id == tasks.c.id, submissions.c.outcome != "skipped", holds())


def comparisons(db: Connection, *where: Condition) -> list[Comparison]:
    """Those tasks for which all of `where` is true."""
    items = sa.select(task_items.c.task_id, completions).join(tasks, tasks.c.id == task_items.c.task_id)
    items = items.join(completions, completions.c.id == task_items.c.completion_id).where(*where)
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


def judgements(db: Connection, *where: Condition) -> list[Judgement]:
    """Answers to comparisons for which all of `where` is true."""
    where = (submissions.c.kind == "rank", *where)
    ranked = sa.select(ranking_items).join(submissions, submissions.c.id == ranking_items.c.submission_id)
    ranked = ranked.join(tasks, tasks.c.id == submissions.c.task_id).join(prompts).where(*where)
    ranks: dict[str, dict[str, int]] = {}
    for row in db.execute(ranked.order_by(submissions.c.seq, ranking_items.c.shown_position)):
        ranks.setdefault(row.submission_id, {})[row.completion_id] = row.rank
    rows = sa.select(submissions).join(tasks, tasks.c.id == submissions.c.task_id).join(prompts).where(*where)
    return [Judgement(row.task_id, row.labeler_id, ranks.get(row.id, {}), row.outcome, row.strength, row.seconds,
                      row.note, row.id, row.answered_at)
            for row in db.execute(rows.order_by(submissions.c.seq))]


def rankings(db: Connection, split: str | None) -> list[Ranking]:
    """Answers that hold, beside what was asked."""
    answered = judgements(db, holds(), submissions.c.outcome == "answered", *_of(split))
    if not answered:
        return []
    wanted = tasks.c.prompt_id.in_(sa.select(prompts.c.id).where(*_of(split)))
    of = {c.id: c for c in comparisons(db, judged(), wanted)}
    return [Ranking(of[j.comparison_id], j) for j in answered]


def ratings(db: Connection, split: str | None) -> list[Rating]:
    """Absolute scores, one Rating a submission."""
    rows = sa.select(submissions.c.id.label("submission_id"), submissions.c.labeler_id, schema.ratings, completions)
    rows = rows.join(schema.ratings, schema.ratings.c.submission_id == submissions.c.id)
    rows = rows.join(completions, completions.c.id == schema.ratings.c.completion_id).join(prompts).where(*_of(split))
    found: dict[str, list] = {}
    for row in db.execute(rows.order_by(submissions.c.seq)):
        found.setdefault(row.submission_id, []).append(row)
    of = _prompts(db, split)
    return [Rating(of[rows[0].prompt_id], candidate_of(rows[0]), rows[0].labeler_id,
                   {row.dimension: row.value for row in rows}, rows[0].scale_min, rows[0].scale_max, id)
            for id, rows in found.items()]


def demonstrations(db: Connection, split: str | None) -> list[Demonstration]:
    """What people would have written."""
    rows = sa.select(submissions.c.labeler_id, completions.c.prompt_id, completions.c.text).select_from(submissions)
    rows = rows.join(schema.demonstrations, schema.demonstrations.c.submission_id == submissions.c.id)
    rows = rows.join(completions, completions.c.id == schema.demonstrations.c.completion_id).join(prompts)
    of = _prompts(db, split)
    return [Demonstration(of[row.prompt_id], row.text, row.labeler_id)
            for row in db.execute(rows.where(*_of(split)).order_by(submissions.c.seq))]


def _prompts(db: Connection, split: str | None) -> dict[str, Prompt]:
    return {row.id: prompt_of(row) for row in db.execute(sa.select(prompts).where(*_of(split)))}


def _of(split: str | None) -> list[Condition]:
    if split is None:
        return []
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}{nearest(split, SPLITS)}")
    return [prompts.c.split == split]
