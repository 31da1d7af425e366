"""The same desk for programs, and for our own pages' modules: JSON under /api, with a token or the page's own session.

Bodies are those of `heed.feedback.bodies`.  `Idempotency-Key` names an answer: sending it again is harmless.
"""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from starlette.responses import Response

from heed.errors import UserError, nearest
from heed.feedback.assignment import Assignment
from heed.feedback.schema import KINDS
from heed.feedback.talks import Said
from heed.web.guard import Labeler
from heed.web.refusals import Json
from heed.web.routes.conversations import ask_replies
from heed.web.routes.home import claim as next_task
from heed.web.routes.home import midnight

router = APIRouter(prefix="/api")
Number = Annotated[int, Path(ge=1, le=2**62)]
Id = Annotated[str, Path(max_length=64)]
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=64)]
Answer = Annotated[dict[str, Any], Body()]


class Claim(BaseModel):
    """Which kind of task; "" is any.  `besides`: the one in hand, while the one after it is fetched."""

    kind: str = Field("", json_schema_extra={"enum": ["", *KINDS]})
    besides: int = Field(0, ge=0, le=2**62)


class Draft(BaseModel):
    """`rev` is the page's own count: an older draft never replaces a newer one."""

    body: dict[str, Any]
    rev: int = Field(ge=0, lt=2**62)


class Skip(BaseModel):
    """Why."""

    reason: str
    note: str = Field("", max_length=10_000)


class Message(BaseModel):
    """Something said in a conversation; `message_id` is made by the page."""

    message_id: str = Field(max_length=64)
    parent_id: str | None = Field(None, max_length=64)
    role: str = "user"
    text: str
    suggestion: str | None = Field(None, max_length=64)


class At(BaseModel):
    """A message of the conversation."""

    message_id: str = Field(max_length=64)


@router.get("/openapi.json", include_in_schema=False)
def description(visit: Labeler) -> Response:
    """What programs may ask for."""
    app = visit.request.app
    return Json(get_openapi(title=app.title, version=app.version, routes=app.routes))


@router.post("/claim")
def claim(visit: Labeler, wanted: Claim) -> Response:
    """The task to work on next; {"task": null} when there is none."""
    if wanted.kind and wanted.kind not in KINDS:
        raise UserError(f"unknown kind of task{nearest(wanted.kind, KINDS)}")
    if wanted.kind == "review" and not visit.user.may("reviewer"):
        return Json({"message": "reviews are for reviewers"}, 403)
    found, instead = next_task(visit, [wanted.kind] if wanted.kind else None, wanted.besides)
    if found is None:
        return Json({"task": None, "url": "/quiz" if instead else "/nothing"})
    return Json({"task": found.task, "kind": found.kind, "url": f"/task/{found.task}"})


@router.get("/task/{task}")
def task(visit: Labeler, task: Number) -> Response:
    """A task that was given to them: the answers in the order of their screen, by letters, without where they come from."""
    return Json(blind(visit.site.desk.assignment(visit.name, task)))


@router.post("/task/{task}/submit")
def submit(visit: Labeler, task: Number, body: Answer, key: Key) -> Response:
    """Hand in an answer; once this has returned 200 it is on disk."""
    return Json(asdict(visit.site.desk.submit(visit.name, task, key, body, visit.raw)))


@router.post("/task/{task}/skip")
def skip(visit: Labeler, task: Number, why: Skip, key: Key) -> Response:
    """Leave it to somebody else."""
    return Json(asdict(visit.site.desk.skip(visit.name, task, key, why.reason, why.note)))


@router.put("/task/{task}/draft")
def save_draft(visit: Labeler, task: Number, draft: Draft) -> Response:
    """Keep what is written so far: {"rev"} of the draft that is kept now."""
    kept = visit.site.desk.save_draft(visit.name, task, draft.body, draft.rev)
    return Json({"rev": kept.rev, "saved_at": kept.saved_at})


@router.post("/task/{task}/renew")
def renew(visit: Labeler, task: Number) -> Response:
    """More time."""
    return Json({"lease_ends": visit.site.desk.renew(visit.name, task)})


@router.get("/task/{task}/thread")
def thread(visit: Labeler, task: Number) -> Response:
    """A conversation so far."""
    return Json({"messages": [told(said) for said in visit.site.talks.thread(visit.name, task)]})


@router.post("/task/{task}/say")
def say(visit: Labeler, task: Number, message: Message) -> Response:
    """Add a message."""
    said = visit.site.talks.say(visit.name, task, message.message_id, message.parent_id, message.role, message.text,
                                message.suggestion)  # fmt: skip
    return Json(told(said))


@router.post("/task/{task}/replies")
async def replies(visit: Labeler, task: Number, at: At) -> Response:
    """Two replies to compare, as a task of its own; it takes as long as the model takes."""
    return Json(blind(await ask_replies(visit, task, at.message_id)))


@router.post("/work/{submission}/revise")
def revise(visit: Labeler, submission: Id, body: Answer, key: Key) -> Response:
    """Another answer in the place of one's own."""
    return Json(asdict(visit.site.desk.revise(visit.name, key, submission, body, visit.raw)))


@router.post("/work/{submission}/undo")
def undo(visit: Labeler, submission: Id, key: Key) -> Response:
    """Take an answer back."""
    return Json(blind(visit.site.desk.undo(visit.name, key, submission)))


@router.get("/progress")
def progress(visit: Labeler) -> Response:
    """What is done and what there is to do."""
    return Json(asdict(visit.site.desk.progress(visit.name, midnight())))


def blind(assignment: Assignment) -> dict[str, Any]:
    """An assignment as JSON.  It names no model; what the dataset says of the prompt stays here too."""
    shown = {name: getattr(assignment, name) for name in ("task", "kind", "mode", "state", "lease_ends")}
    items = [{"letter": item.letter, "text": item.text,
              "media": f"/media/{assignment.task}/{item.letter}" if item.media else None,
              "mime": item.media.mime if item.media else None} for item in assignment.items]
    draft = None if assignment.draft is None else {"body": assignment.draft.body, "rev": assignment.draft.rev}
    return {**shown, "prompt": assignment.prompt.trl(), "items": items, "form": asdict(assignment.form), "draft": draft,
            "unread": assignment.instructions is not None and not assignment.instructions.acknowledged,
            "answers": [asdict(answer) for answer in assignment.answers]}  # fmt: skip


def told(said: Said) -> dict[str, Any]:
    """A message as JSON."""
    return asdict(said)
