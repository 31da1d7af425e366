"""A task on the screen, and what people do with it: answer, keep a draft, skip, change their mind."""

import hmac
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from heed.feedback.assignment import Assignment
from heed.feedback.bodies import ID, InvalidAnswer
from heed.feedback.filing import Conflict
from heed.feedback.forms import TALKS
from heed.web.guard import Labeler, Visit
from heed.web.ids import uuid7
from heed.web.pages import flat, go, local, page
from heed.web.routes.conversations import talk_page
from heed.web.routes.home import to_next
from heed.web.sheets import body_of_form, consensus, content_warning, rating_letters, reworded, steps

router = APIRouter()
WARNED = "warned"  # the cookie of who has read a content warning; it ends with the browser or the log-in


@router.get("/task/{task}", include_in_schema=False)
def show(visit: Labeler, task: int) -> Response:
    """A task that was given to them."""
    assignment = visit.site.desk.assignment(visit.name, task)
    if assignment.state in ("submitted", "skipped"):
        return page(visit, "answered.html", assignment=assignment)
    if assignment.instructions is not None and not assignment.instructions.acknowledged:
        return page(visit, "instructions.html", kind=assignment.kind, instructions=assignment.instructions, task=task)
    if content_warning(assignment) and not was_warned(visit):
        return warning_page(visit, assignment)
    if assignment.kind in TALKS:
        return talk_page(visit, assignment)
    return task_page(visit, assignment)


@router.post("/warned", include_in_schema=False)
def warned(visit: Labeler) -> Response:
    """They have read a content warning; it does not come again in this session."""
    response = go(local(visit.form.get("back", "/")))
    response.set_cookie(WARNED, _of_session(visit), samesite="strict", httponly=True, secure=visit.site.encrypted)
    return response


@router.post("/task/{task}/submit", include_in_schema=False)
def submit(visit: Labeler, task: int) -> Response:
    """The answer of a form; then the next task."""
    form = visit.form
    if form.get("do") == "draft":
        return keep(visit, task)
    assignment = visit.site.desk.assignment(visit.name, task)
    try:
        body = body_of_form(assignment.kind, visit.fields)
        receipt = visit.site.desk.submit(visit.name, task, form.get("submission_id", ""), body)
    except InvalidAnswer as error:
        return again(visit, assignment, reworded(error.fields), 422)
    except Conflict as error:
        return again(visit, assignment, {}, 409, conflict=str(error), stored=error.stored)
    if form.get("talk", "").isdecimal():
        return go(f"/task/{int(form['talk'])}")
    said = "late" if receipt.outcome == "late" else "saved"
    return to_next(visit, assignment.kind, said=said, done=receipt.submission_id)


@router.post("/task/{task}/skip", include_in_schema=False)
def skip(visit: Labeler, task: int) -> Response:
    """Leave it to somebody else, and say why."""
    form = visit.form
    assignment = visit.site.desk.assignment(visit.name, task)
    try:
        receipt = visit.site.desk.skip(visit.name, task, form.get("submission_id", ""), form.get("reason", ""),
                                       form.get("note", ""))  # fmt: skip
    except InvalidAnswer as error:
        faults = {f"skip-{name}": message for name, message in reworded(error.fields).items()}
        if assignment.kind in TALKS:
            return talk_page(visit, assignment, 422, faults=faults)
        return task_page(visit, assignment, 422, faults=faults)
    return to_next(visit, assignment.kind, said="skipped", done=receipt.submission_id)


@router.get("/work/{submission}", include_in_schema=False)
def revise_form(visit: Labeler, submission: str) -> Response:
    """An answer of one's own, to be changed."""
    done = visit.site.desk.done(visit.name, submission)
    assignment = visit.site.desk.assignment(visit.name, done.task)
    if not done.revisable or done.outcome == "skipped" or done.kind in TALKS:
        return page(visit, "answered.html", 200, assignment=assignment)
    if content_warning(assignment) and not was_warned(visit):
        return warning_page(visit, assignment)
    return task_page(visit, assignment, values=flat(done.body or {}), revises=submission)


@router.post("/work/{submission}/revise", include_in_schema=False)
def revise(visit: Labeler, submission: str) -> Response:
    """Another answer in its place."""
    done = visit.site.desk.done(visit.name, submission)
    try:
        body = body_of_form(done.kind, visit.fields)
        visit.site.desk.revise(visit.name, visit.form.get("submission_id", ""), submission, body)
    except InvalidAnswer as error:
        assignment = visit.site.desk.assignment(visit.name, done.task)
        return again(visit, assignment, reworded(error.fields), 422, revises=submission)
    return go("/work", said="revised")


@router.post("/work/{submission}/undo", include_in_schema=False)
def undo(visit: Labeler, submission: str) -> Response:
    """The task is in hand again."""
    assignment = visit.site.desk.undo(visit.name, visit.form.get("submission_id", ""), submission)
    return go(f"/task/{assignment.task}", said="undone")


def keep(visit: Visit, task: int) -> Response:
    """The form as a draft, whatever it holds."""
    assignment = visit.site.desk.assignment(visit.name, task)
    draft = assignment.draft
    body = body_of_form(assignment.kind, visit.fields)
    visit.site.desk.save_draft(visit.name, task, body, draft.rev + 1 if draft else 1)
    return go(f"/task/{task}", said="draft")


def was_warned(visit: Visit) -> bool:
    """Whether they have read a content warning since they logged in."""
    return hmac.compare_digest(visit.request.cookies.get(WARNED, "").encode(), _of_session(visit).encode())


def _of_session(visit: Visit) -> str:
    """Something that belongs to this log-in: whoever logs in next in this browser is warned too."""
    return hmac.digest(visit.key.encode(), b"content warning", "sha256").hex()


def warning_page(visit: Visit, assignment: Assignment) -> Response:
    """What may upset in the task, before any of it is shown."""
    url = visit.request.url
    return page(visit, "warning.html", task=assignment, warning=content_warning(assignment), skip_id=uuid7(),
                back=f"{url.path}?{url.query}" if url.query else url.path, skip=assignment.state == "leased")


def again(visit: Visit, assignment: Assignment, faults: Mapping[str, str], status: int, **more: Any) -> Response:
    """The page as it was sent, with what is wrong beside each field."""
    values: dict[str, Any] = {}
    for name, value in visit.fields:
        values[name] = [*values.get(name, []), value] if name == "reasons" else value
    if assignment.kind in TALKS:
        return talk_page(visit, assignment, status, faults=faults, values=values)
    return task_page(visit, assignment, status, values=values, faults=faults,
                     id=visit.form.get("submission_id") or uuid7(), **more)


def task_page(
    visit: Visit, assignment: Assignment, status: int = 200, *, values: Mapping[str, Any] | None = None,
    faults: Mapping[str, str] | None = None, id: str = "", revises: str = "", conflict: str = "",
    stored: Mapping[str, Any] | None = None,
) -> Response:  # fmt: skip
    """The page of every kind but conversations."""
    if assignment.kind in TALKS:
        raise HTTPException(404, "a conversation is not changed once it has ended")
    draft = assignment.draft
    if values is None:
        values = flat(draft.body) if draft else {}
    done = visit.request.query_params.get("done", "")
    done = done if ID.fullmatch(done) else ""
    return page(
        visit, "task.html", status, task=assignment, form=assignment.form, values=values, faults=faults or {},
        submission_id=id or uuid7(), skip_id=uuid7(), undo_id=uuid7(), revises=revises, conflict=conflict, stored=stored,
        warning=content_warning(assignment),
        steps=steps(assignment.form, assignment.mode) if assignment.form.points else [], letters=rating_letters(assignment),
        rev=draft.rev if draft else 0, done=done, together=consensus(assignment.answers))  # fmt: skip
