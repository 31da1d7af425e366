"""For managers: what is asked of people, in which order, of how many, and how they are told to do it."""

import json
import re
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from heed.errors import UserError
from heed.feedback.assignment import reviewed
from heed.feedback.bodies import InvalidAnswer, from_fields
from heed.feedback.forms import LETTERS, RANKED, TALKS, form_of
from heed.feedback.gold import Gold
from heed.feedback.schema import KINDS
from heed.feedback.work import STATUSES
from heed.web.asking import tasks_of
from heed.web.guard import Manager, Visit
from heed.web.pages import first_words, flat, go, page
from heed.web.sheets import consensus, reworded, steps

router = APIRouter(prefix="/manage")
PER_PAGE = 50


@router.get("/tasks", include_in_schema=False)
def tasks(visit: Manager, kind: str = "", status: str = "", after: int = 0) -> Response:
    """What is asked, in the order it arrived."""
    return tasks_page(visit, kind, status, after)


@router.post("/tasks", include_in_schema=False)
def ask(visit: Manager) -> Response:
    """Put prompts before people, one a line."""
    form = visit.form
    kind, mode = form.get("kind", "").partition(" ")[::2]
    try:
        asked = tasks_of(kind, mode, form.get("prompts", ""), overlap=number(form, "overlap", 1, 100),
                         priority=float(number(form, "priority", -1000, 1000)), pool=form.get("pool", "").strip())
        visit.site.work.ask(asked)
    except UserError as error:
        return tasks_page(visit, fault=str(error), values=form, status_code=422)
    visit.site.people.log(visit.name, "ask", f"{len(asked)} {kind}")
    return go("/manage/tasks", said="done")


@router.get("/tasks/{task}", include_in_schema=False)
def task(visit: Manager, task: int) -> Response:
    """One task, with where its answers come from and what people said."""
    return task_view(visit, task)


@router.post("/tasks/{task}", include_in_schema=False)
def change(visit: Manager, task: int) -> Response:
    """Its priority, overlap, pool or status."""
    form = visit.form
    try:
        changes: dict[str, Any] = {"priority": float(number(form, "priority", -1000, 1000)),
                                   "overlap": number(form, "overlap", 1, 100), "pool": form.get("pool", "").strip(),
                                   "status": form.get("status", "open")}  # fmt: skip
        visit.site.work.set(visit.name, [visit.site.work.task(task).task], **changes)
    except UserError as error:
        return task_view(visit, task, 422, fault=str(error))
    return go(f"/manage/tasks/{task}", said="done")


@router.post("/tasks/{task}/review", include_in_schema=False)
def review(visit: Manager, task: int) -> Response:
    """Have a reviewer look at it."""
    visit.site.work.review(task, visit.name)
    return go(f"/manage/tasks/{task}", said="done")


@router.post("/tasks/{task}/gold", include_in_schema=False)
def known_answer(visit: Manager, task: int) -> Response:
    """Say what is expected, by the items in the order they were asked."""
    fields = [(name, value) for name, value in visit.fields if name != "why"]
    try:
        Gold(visit.site.store).set(visit.name, task, from_fields(fields), visit.form.get("why", "")[:2000])
    except InvalidAnswer as error:
        return task_view(visit, task, 422, faults=reworded(error.fields), values=visit.form)
    return go(f"/manage/tasks/{task}", said="done")


@router.get("/instructions", include_in_schema=False)
def instructions(visit: Manager, kind: str = "rank") -> Response:
    """How a kind of task is to be done, and what its form asks for."""
    return instructions_page(visit, kind)


@router.post("/instructions", include_in_schema=False)
def instruct(visit: Manager) -> Response:
    """A new version; everybody is shown it once."""
    form, kind = visit.form, visit.form.get("kind", "")
    try:
        changes = json.loads(form.get("form", "") or "{}")
        if not isinstance(changes, dict):
            raise UserError("the form is not a JSON object")
        visit.site.work.instruct(visit.name, kind, form.get("body", ""), changes)
    except ValueError as error:
        return instructions_page(visit, kind, f"the form is no JSON: {error}", form)
    except UserError as error:
        return instructions_page(visit, kind, str(error), form)
    return go("/manage/instructions", kind=kind, said="done")


def tasks_page(visit: Visit, kind: str = "", status: str = "", after: int = 0, *, fault: str = "",
               values: Any = None, status_code: int = 200) -> Response:  # fmt: skip
    """The list, and the form to ask more."""
    kind, status = kind if kind in KINDS else "", status if status in STATUSES else ""
    rows = visit.site.work.tasks(kind=kind or None, status=status or None, after=after, limit=PER_PAGE)
    shown = [(row, first_words(row.prompt.content)) for row in rows]
    return page(visit, "manage_tasks.html", status_code, tab="tasks", rows=shown, kind=kind, state=status, statuses=STATUSES,
                counts=visit.site.work.counts(), more=rows[-1].task if len(rows) == PER_PAGE else None, fault=fault,
                values=values or {})


def task_view(visit: Visit, number: int, status: int = 200, *, fault: str = "", faults: Any = None,
              values: Any = None) -> Response:  # fmt: skip
    """Everything about one task."""
    row = visit.site.work.task(number)
    versions = visit.site.work.instructions(row.kind)
    form = form_of(row.kind, versions[0].form if versions else None)
    with visit.site.store.database.reading() as db:
        given = reviewed(db, row.id, {letter: item.id for letter, item in zip(LETTERS, row.items, strict=False)})
    return page(visit, "manage_task.html", status, tab="tasks", row=row, items=list(zip(LETTERS, row.items, strict=False)),
                given=given, together=consensus(given), form=form,
                steps=steps(form, row.mode) if form.points else [], statuses=STATUSES, fault=fault,
                faults=faults or {}, values=values or {}, may_have_gold=row.kind in (*RANKED, "rate") and not row.gold,
                may_be_reviewed=row.kind not in ("review", *TALKS))


def instructions_page(visit: Visit, kind: str, fault: str = "", values: Any = None) -> Response:
    """The newest version, to be changed, and those before it."""
    kind = kind if kind in KINDS else "rank"
    versions = visit.site.work.instructions(kind)
    newest = versions[0] if versions else None
    values = values or {"body": newest.body if newest else "", "form": newest.form if newest else "{}"}
    return page(visit, "manage_instructions.html", 422 if fault else 200, tab="instructions", kind=kind, versions=versions,
                values=flat(values), fault=fault)


def number(form: Any, name: str, low: int, high: int) -> int:
    """A whole number of a form.  Raises UserError."""
    text = form.get(name, "").strip()
    if not re.fullmatch(r"-?\d{1,6}", text) or not low <= int(text) <= high:
        raise UserError(f"{name}: expected a whole number from {low} to {high}")
    return int(text)
