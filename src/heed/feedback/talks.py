"""Conversations that grow in a task: a person plays both sides with the model's suggestions (converse), or talks with the
served model and says after each message which of two replies is better (live_compare; Bai et al. 2022, section 2.2).

A conversation is a tree: whoever says something else in answer to the same message begins a branch.  Messages are never
changed.  Each pair of replies is a pairwise task of its own, private to the labeler, whose prompt is the conversation so
far: it is answered at the desk like any other, and trained on like any other.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from heed.errors import UserError
from heed.feedback import queue, schema, writing
from heed.feedback.assignment import Assignment, NotAssigned, Sheet, load_sheet
from heed.feedback.bodies import MAX_TEXT, InvalidAnswer, checked_id
from heed.feedback.forms import LETTERS, TALKS
from heed.feedback.reading import holds
from heed.feedback.rows import Batch
from heed.feedback.schema import assignments, completions, messages, submissions, task_items, tasks
from heed.feedback.store import SQLStore
from heed.records import Candidate, Message, Prompt, content_id

LONGEST = 200  # messages from the first to the last


@dataclass(frozen=True)
class Said:
    """A message.  Of two replies to one message, `letter` is the one on the labeler's screen and `chosen` whether it was
    found better (in red_team mode: more harmful), None as long as nobody said."""

    id: str
    parent_id: str | None
    role: str  # user or assistant
    text: str
    turn: int | None = None  # the number of the pairwise task
    letter: str | None = None
    chosen: bool | None = None


@dataclass(frozen=True)
class Talks:
    """The conversations of a store."""

    store: SQLStore

    def thread(self, labeler: str, task: int) -> list[Said]:
        """Everything that was said, branches included, in the order of arrival."""
        with self.store.database.reading() as db:
            sheet = _talk(db, labeler, task)
            turns = _turns(db, sheet)
            return [_said(row, turns) for row in _rows(db, sheet).values()]

    def prompt(self, labeler: str, task: int, message_id: str | None) -> Prompt:
        """What the model is asked: the task's prompt and what was said up to and with this message."""
        with self.store.database.reading() as db:
            sheet = _talk(db, labeler, task)
            return _prompt(sheet, _path(_rows(db, sheet), message_id))

    def say(
        self, labeler: str, task: int, message_id: str, parent_id: str | None, role: str, text: str,
        suggestion: str | None = None,
    ) -> Said:  # fmt: skip
        """Add a message, with an id made by the page; the same id again is the same message.

        `role` is "assistant" only where one person plays both sides; `suggestion` is the id of the draft that was used.
        Raises InvalidAnswer, and NotAssigned for a task or a parent that is not theirs.
        """
        checked_id("message_id", message_id)
        now = self.store.clock()
        with self.store.database.writing() as db:
            sheet = _talk(db, labeler, task)
            rows = _rows(db, sheet)
            if message_id in rows:
                return _said(rows[message_id], _turns(db, sheet))
            path = _path(rows, parent_id)
            _check_message(sheet, path, role, text)
            row = {"id": message_id, "task_id": sheet.task_id, "labeler_id": labeler, "parent_id": parent_id, "role": role,
                   "content": None, "completion_id": None, "suggestion_id": suggestion, "turn_id": None, "said_at": now}
            if suggestion is not None:
                _check_suggestion(db, sheet, path, suggestion)
            if role == "user":
                row["content"] = text
            else:
                row["completion_id"] = _spoken(db, sheet, path, message_id, text, suggestion)
            if db.scalar(sa.select(messages.c.id).where(messages.c.id == message_id)) is not None:
                raise InvalidAnswer({"message_id": "is taken; expected a new one"})
            db.execute(sa.insert(messages), row)
        return Said(message_id, parent_id, role, text)

    def suggest(
        self, labeler: str, task: int, message_id: str | None, candidates: Sequence[Candidate]
    ) -> list[tuple[str, str]]:
        """Keep what the model would say next after a message: (id for `say`, text) of each."""
        with self.store.database.writing() as db:
            sheet = _talk(db, labeler, task)
            _keep(db, _prompt(sheet, _path(_rows(db, sheet), message_id)), candidates)
        return [(candidate.id, candidate.text) for candidate in candidates]

    def replies(self, labeler: str, task: int, message_id: str, candidates: tuple[Candidate, Candidate]) -> Assignment:
        """Put two replies to a message of the labeler side by side.  Asked again, the first pair stays."""
        if len(candidates) != 2:
            raise UserError(f"{len(candidates)} replies; expected two to compare")
        now = self.store.clock()
        with self.store.database.writing() as db:
            sheet = _talk(db, labeler, task, "live_compare")
            rows = _rows(db, sheet)
            path = _path(rows, message_id)
            if not path or path[-1].role != "user":
                raise InvalidAnswer({"message_id": "expected a message of the person"})
            turn = next((row.turn_id for row in rows.values() if row.parent_id == message_id and row.turn_id), None)
            if turn is None:
                turn = content_id("turn", sheet.task_id, labeler, message_id)
                _open_turn(db, sheet, turn, _prompt(sheet, path), candidates, now)
                db.execute(sa.insert(messages), [
                    {"id": f"{turn}.{i}", "task_id": sheet.task_id, "labeler_id": labeler, "parent_id": message_id,
                     "role": "assistant", "content": None, "completion_id": c.id, "suggestion_id": None, "turn_id": turn,
                     "said_at": now} for i, c in enumerate(candidates)])  # fmt: skip
            number = db.scalar(sa.select(tasks.c.seq).where(tasks.c.id == turn))
            return load_sheet(db, labeler, number).assignment


def ended(db: Connection, sheet: Sheet, leaf: str) -> tuple[str, ...]:
    """The assistant's completions up to the last message, `leaf`.  Raises InvalidAnswer for a talk that has none."""
    rows = _rows(db, sheet)
    if leaf not in rows:
        raise InvalidAnswer({"leaf": "expected the id of the last message of this conversation"})
    said = tuple(row.completion_id for row in _path(rows, leaf) if row.role == "assistant")
    if not said:
        raise InvalidAnswer({"leaf": "the conversation has no reply yet"})
    return said


def _talk(db: Connection, labeler: str, task: int, *kinds: str) -> Sheet:
    sheet = load_sheet(db, labeler, task)
    if sheet.assignment.kind not in (kinds or TALKS):
        raise NotAssigned(f"task {task} is no conversation")
    return sheet


def _rows(db: Connection, sheet: Sheet) -> dict[str, sa.Row]:
    rows = sa.select(messages, completions.c.text).outerjoin(completions, completions.c.id == messages.c.completion_id)
    rows = rows.where(messages.c.task_id == sheet.task_id, messages.c.labeler_id == sheet.labeler)
    return {row.id: row for row in db.execute(rows.order_by(messages.c.seq))}


def _path(rows: dict[str, sa.Row], message_id: str | None) -> list[sa.Row]:
    """From the first message to this one."""
    path = []
    while message_id is not None:
        if message_id not in rows:
            raise NotAssigned("there is no such message in this conversation")
        path.append(rows[message_id])
        message_id = rows[message_id].parent_id
    return path[::-1]


def _prompt(sheet: Sheet, path: Sequence[sa.Row]) -> Prompt:
    """The conversation so far, in the split of the prompt that it began with.

    A goal that was given as plain text is for the person; the model never sees it.
    """
    first = sheet.prompt
    opening = () if isinstance(first.content, str) else first.content
    turns = (*opening, *(Message(row.role, row.content if row.completion_id is None else row.text) for row in path))
    return Prompt(turns, {}, first.split)


def _check_message(sheet: Sheet, path: Sequence[sa.Row], role: str, text: str) -> None:
    roles = ("user", "assistant") if sheet.assignment.kind == "converse" else ("user",)
    faults = {}
    if role not in roles:
        faults["role"] = f"expected {' or '.join(roles)}"
    elif path and path[-1].role == role:
        faults["role"] = f"the last word was the {role}'s already"
    if not isinstance(text, str) or not text.strip():
        faults["text"] = "is empty"
    elif len(text) > MAX_TEXT:
        faults["text"] = f"is too long: {len(text):,} of at most {MAX_TEXT:,} characters"
    if len(path) >= LONGEST:
        faults["text"] = f"a conversation has at most {LONGEST} messages"
    if faults:
        raise InvalidAnswer(faults)


def _check_suggestion(db: Connection, sheet: Sheet, path: Sequence[sa.Row], suggestion: str) -> None:
    prompt_id = db.scalar(sa.select(completions.c.prompt_id).where(completions.c.id == suggestion))
    if prompt_id != _prompt(sheet, path).id:
        raise InvalidAnswer({"suggestion": "was not made for this place in the conversation"})


def _spoken(
    db: Connection, sheet: Sheet, path: Sequence[sa.Row], message_id: str, text: str, suggestion: str | None
) -> str:
    """What the person says for the assistant, as a completion; the model's own words stay the model's."""
    if suggestion is not None and db.scalar(sa.select(completions.c.text).where(completions.c.id == suggestion)) == text:
        return suggestion
    said = Candidate(text, made_by="human", id=content_id("said", sheet.task_id, sheet.labeler, message_id))
    _keep(db, _prompt(sheet, path), [said])
    if suggestion is not None:
        db.execute(sa.update(completions).where(completions.c.id == said.id).values(edited_from_id=suggestion))
    return said.id


def _keep(db: Connection, prompt: Prompt, candidates: Sequence[Candidate]) -> None:
    batch = Batch()
    batch.prompt(prompt)
    for candidate in candidates:
        batch.completion(prompt, candidate)
    writing.texts(db, batch)


def _open_turn(
    db: Connection, sheet: Sheet, turn: str, prompt: Prompt, candidates: Sequence[Candidate], now: float
) -> None:
    _keep(db, prompt, candidates)
    db.execute(sa.insert(tasks), {
        "id": turn, "kind": "pairwise", "prompt_id": prompt.id, "overlap": 1, "open_slots": 0, "asked_at": now,
        "mode": sheet.assignment.mode, "status": "private", "parent_id": sheet.task_id})  # fmt: skip
    db.execute(sa.insert(schema.task_items), [
        {"task_id": turn, "item_no": i, "completion_id": candidate.id} for i, candidate in enumerate(candidates)])
    queue.hold(db, turn, sheet.labeler, len(candidates), now, sheet.instructions_id)


def _said(row: sa.Row, turns: dict[str, "Turn"]) -> Said:
    text = row.content if row.completion_id is None else row.text
    if row.turn_id is None:
        return Said(row.id, row.parent_id, row.role, text)
    turn = turns[row.turn_id]
    letter = turn.letters[row.completion_id]
    chosen = None if turn.pressed is None else (turn.pressed < 0) == (letter == "A") and turn.pressed != 0
    return Said(row.id, row.parent_id, row.role, text, turn.number, letter, chosen)


@dataclass
class Turn:
    """Two replies as they stand on the screen, and what was pressed."""

    number: int
    letters: dict[str, str]  # completion -> letter
    pressed: int | None = None


def _turns(db: Connection, sheet: Sheet) -> dict[str, Turn]:
    found: dict[str, Turn] = {}
    items = sa.select(tasks.c.id, tasks.c.seq, assignments.c.shown, task_items.c.item_no, task_items.c.completion_id)
    items = items.select_from(tasks).join(task_items).join(assignments, assignments.c.task_id == tasks.c.id)
    of = (tasks.c.parent_id == sheet.task_id, tasks.c.kind == "pairwise")
    for row in db.execute(items.where(*of, assignments.c.labeler_id == sheet.labeler)):
        place = json.loads(row.shown).index(row.item_no)
        found.setdefault(row.id, Turn(row.seq, {})).letters[row.completion_id] = LETTERS[place]
    pressed = sa.select(submissions.c.task_id, schema.preferences.c.preference).select_from(schema.preferences)
    pressed = pressed.join(submissions).join(tasks, tasks.c.id == submissions.c.task_id)
    for row in db.execute(pressed.where(*of, submissions.c.labeler_id == sheet.labeler, holds())):
        found[row.task_id].pressed = row.preference
    return found
