"""What one labeler has before them: a task, its items in the order of their screen, the form, and how far they got.

An Assignment names no model, no completion and no item number, so that it may be shown as it is.  A Sheet is the same
with the ids beside it; it stays on this side.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from heed.errors import UserError
from heed.feedback import schema
from heed.feedback.forms import LETTERS, Form, form_of
from heed.feedback.queue import order_shown
from heed.feedback.reading import holds
from heed.feedback.rows import prompt_of
from heed.feedback.schema import assignments, completions, drafts, prompts, submissions, task_items, tasks
from heed.records import Prompt


class NotAssigned(UserError):
    """The labeler was never given such a task, or gave no such answer."""


@dataclass(frozen=True)
class Media:
    """A clip, by the path below the folder that the server shows clips from."""

    path: str
    mime: str
    sha256: str = ""


@dataclass(frozen=True)
class Item:
    """One answer on the screen."""

    letter: str  # A is shown first
    text: str
    media: Media | None = None


@dataclass(frozen=True)
class Instructions:
    """A version of the guidelines for a kind of task; `form` is JSON, see `heed.feedback.forms`."""

    id: str
    kind: str
    version: int
    body: str  # Markdown
    form: str = "{}"
    made_by: str = ""
    made_at: float = 0.0
    acknowledged: bool = False  # by the labeler who is looking at them


@dataclass(frozen=True)
class Draft:
    """What a page saved on the way; `rev` is the page's own count."""

    body: Mapping[str, Any]
    rev: int
    saved_at: float


@dataclass(frozen=True)
class Given:
    """What somebody else answered, for whoever reviews it; people have numbers instead of names."""

    who: int
    outcome: str
    reason: str
    note: str
    ranks: Mapping[str, int] = field(default_factory=dict)  # by the letters of the reviewer's screen
    ratings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    strength: float | None = None
    text: str = ""  # what they wrote


@dataclass(frozen=True)
class Assignment:
    """A task in the hands of a labeler."""

    task: int
    kind: str
    mode: str  # "", helpful or red_team
    prompt: Prompt  # what was asked and nothing else: no columns, which may hold the reference answer
    items: tuple[Item, ...]
    form: Form
    instructions: Instructions | None
    state: str  # leased, submitted, skipped or expired
    lease_ends: float | None
    draft: Draft | None
    answers: tuple[Given, ...] = ()  # of a task under review


@dataclass(frozen=True)
class Sheet:
    """An assignment with the ids of what it shows."""

    assignment: Assignment
    prompt: Prompt
    labeler: str
    task_id: str
    instructions_id: str | None
    completions: Mapping[str, str]  # letter -> completion, in the order shown

    @property
    def letters(self) -> list[str]:
        return list(self.completions)


def load_sheet(db: Connection, labeler: str, task: int) -> Sheet:
    """Raises NotAssigned where this task was never given to this labeler."""
    row = db.execute(_TASK, {"labeler": labeler, "task": task}).first()
    if row is None:
        raise NotAssigned(f"task {task} was not given to {labeler}")
    found = db.execute(_ITEMS, {"task_id": row.task_id}).all()
    order = json.loads(row.shown) if row.shown else order_shown(row.task_id, labeler, len(found))
    shown = {letter: found[i] for letter, i in zip(LETTERS, order, strict=False)}
    items = tuple(
        Item(letter, item.text, Media(item.path, item.mime, item.sha256) if item.path is not None else None)
        for letter, item in shown.items())  # fmt: skip
    ids = {letter: item.id for letter, item in shown.items()}
    version = None
    if row.instructions_id is not None:
        version = _instructions(db, row.instructions_id, labeler)
    draft = None if row.body is None else Draft(json.loads(row.body), row.rev, row.saved_at)
    form = form_of("live_compare" if row.mode else row.kind, version.form if version else None)
    if row.mode and row.kind != "live_compare":
        form = replace(form, ratings=(), flags=())  # those are for the end of the conversation
    given = reviewed(db, row.parent_id, ids) if row.kind == "review" else ()
    prompt = prompt_of(row)
    assignment = Assignment(
        task, row.kind, row.mode, Prompt(prompt.content), items, form, version,
        row.state, row.lease_expires_at, draft, given)  # fmt: skip
    return Sheet(assignment, prompt, labeler, row.task_id, row.instructions_id, ids)


def reviewed(db: Connection, task_id: str, letters: Mapping[str, str]) -> tuple[Given, ...]:
    """The answers to a task that hold, in the order they came; `letters`: letter -> completion."""
    letter = {completion: name for name, completion in letters.items()}
    rows = db.execute(sa.select(submissions).where(submissions.c.task_id == task_id, holds(), submissions.c.reason != "undone")
                      .order_by(submissions.c.seq)).all()  # fmt: skip
    ids = [row.id for row in rows]
    ranks, ratings, texts = {}, {}, {}
    for row in db.execute(sa.select(schema.ranking_items).where(schema.ranking_items.c.submission_id.in_(ids))):
        if row.completion_id in letter:
            ranks.setdefault(row.submission_id, {})[letter[row.completion_id]] = row.rank
    for row in db.execute(sa.select(schema.ratings).where(schema.ratings.c.submission_id.in_(ids))):
        of = ratings.setdefault(row.submission_id, {}).setdefault(letter.get(row.completion_id, LETTERS[0]), {})
        of[row.dimension] = row.value
    written = sa.select(schema.demonstrations.c.submission_id, completions.c.text).join(completions)
    for row in db.execute(written.where(schema.demonstrations.c.submission_id.in_(ids))):
        texts[row.submission_id] = row.text
    return tuple(Given(n, row.outcome, row.reason, row.note, dict(sorted(ranks.get(row.id, {}).items())),
                       ratings.get(row.id, {}), row.strength, texts.get(row.id, ""))
                 for n, row in enumerate(rows, start=1))  # fmt: skip


def _instructions(db: Connection, id: str, labeler: str) -> Instructions:
    row = db.execute(_INSTRUCTIONS, {"id": id, "labeler": labeler}).one()
    return Instructions(row.id, row.kind, row.version, row.body, row.form, row.made_by, row.made_at, row.at is not None)


def _mine(table: sa.Table) -> sa.ColumnElement[bool]:
    return (table.c.task_id == tasks.c.id) & (table.c.labeler_id == sa.bindparam("labeler"))


_TASK = (
    sa.select(
        tasks.c.id.label("task_id"), tasks.c.kind, tasks.c.mode, tasks.c.parent_id, tasks.c.status,
        assignments.c.state, assignments.c.lease_expires_at, assignments.c.shown, assignments.c.instructions_id,
        drafts.c.body, drafts.c.rev, drafts.c.saved_at, prompts)
    .select_from(tasks).join(prompts, prompts.c.id == tasks.c.prompt_id)
    .join(assignments, _mine(assignments)).outerjoin(drafts, _mine(drafts))
    .where(tasks.c.seq == sa.bindparam("task"))
)  # fmt: skip
_ITEMS = (
    sa.select(completions.c.id, completions.c.text, schema.media.c.path, schema.media.c.mime, schema.media.c.sha256)
    .select_from(task_items).join(completions, completions.c.id == task_items.c.completion_id)
    .outerjoin(schema.media, schema.media.c.id == completions.c.media_id)
    .where(task_items.c.task_id == sa.bindparam("task_id")).order_by(task_items.c.item_no)
)  # fmt: skip
_ACK = schema.acknowledgements
_INSTRUCTIONS = (
    sa.select(schema.instructions, _ACK.c.at)
    .outerjoin(_ACK, (_ACK.c.instructions_id == schema.instructions.c.id) & (_ACK.c.labeler_id == sa.bindparam("labeler")))
    .where(schema.instructions.c.id == sa.bindparam("id"))
)
