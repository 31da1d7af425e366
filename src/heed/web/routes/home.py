"""What there is to do, what one has done, and how it is to be done."""

import json
import time
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from heed.errors import UserError
from heed.feedback.gold import Gold
from heed.feedback.queue import Drawn
from heed.feedback.schema import KINDS
from heed.web.guard import Labeler, Visit
from heed.web.ids import uuid7
from heed.web.pages import first_words, go, local, page

router = APIRouter()
QUIZ = "screening"  # the pool whose tasks are the quiz
PER_PAGE = 50
LOOK_AGAIN = 30.0  # seconds until we look again whether there is a quiz
_no_quiz: WeakKeyDictionary = WeakKeyDictionary()  # store -> until when we know that there is none


@router.get("/", include_in_schema=False)
def home(visit: Labeler) -> Response:
    """A card for every kind of task that there is for them."""
    progress = visit.site.desk.progress(visit.name, midnight())
    may_review = visit.user.may("reviewer")
    cards = [(kind, progress.open.get(kind, 0), progress.held.get(kind)) for kind in KINDS
             if (kind != "review" or may_review) and (progress.open.get(kind) or kind in progress.held)]  # fmt: skip
    return page(visit, "home.html", progress=progress, cards=cards, quiz=quiz_of(visit))


@router.post("/next", include_in_schema=False)
def next_task(visit: Labeler) -> Response:
    """Claim a task, of a kind or of any, and go there."""
    return to_next(visit, visit.form.get("kind", ""))


@router.get("/nothing", include_in_schema=False)
def nothing(visit: Labeler, kind: str = "") -> Response:
    """Why there is nothing to do."""
    user = visit.site.people.user(visit.name)
    progress = visit.site.desk.progress(visit.name, midnight())
    return page(visit, "nothing.html", kind=kind if kind in KINDS else "", paused=user.paused, progress=progress)


@router.get("/work", include_in_schema=False)
def my_work(visit: Labeler, before: int | None = None) -> Response:
    """One's own answers, the newest first."""
    found = visit.site.desk.my_work(visit.name, before, PER_PAGE)
    rows = [(one, first_words(one.prompt.content), uuid7()) for one in found]
    return page(visit, "work.html", rows=rows, more=found[-1].seq if len(found) == PER_PAGE else None)


@router.get("/work.jsonl", include_in_schema=False)
def export_work(visit: Labeler) -> Response:
    """Everything one has answered, as one sent it."""
    lines, before = [], None
    while found := visit.site.desk.my_work(visit.name, before, 1000):
        lines += [json.dumps({"submission_id": one.submission_id, "task": one.task, "kind": one.kind, "outcome": one.outcome,
                              "reason": one.reason, "answered_at": one.answered_at, "body": one.body}) for one in found]
        before = found[-1].seq
    headers = {"Content-Disposition": 'attachment; filename="my-answers.jsonl"'}
    return PlainTextResponse("\n".join(lines) + "\n" * bool(lines), headers=headers, media_type="application/jsonl")


@router.get("/instructions/{kind}", include_in_schema=False)
def instructions(visit: Labeler, kind: str) -> Response:
    """The newest instructions for a kind of task."""
    if kind not in KINDS:
        raise UserError("there is no such kind of task")
    versions = visit.site.work.instructions(kind)
    return page(visit, "instructions.html", kind=kind, instructions=versions[0] if versions else None, task=None)


@router.post("/instructions/{id}/acknowledge", include_in_schema=False)
def acknowledge(visit: Labeler, id: str) -> Response:
    """They have read this version."""
    visit.site.desk.acknowledge(visit.name, id)
    return go(local(visit.form.get("back", "/")))


@router.get("/quiz", include_in_schema=False)
def quiz(visit: Labeler) -> Response:
    """What the quiz is for, and how it went."""
    return page(visit, "quiz.html", screening=visit.site.people.screening(visit.name),
                threshold=visit.site.settings.screening)


def quiz_of(visit: Visit) -> str:
    """How they stand with the quiz: "open" where it was not taken (or there is none), "failed", or "" for nothing to do."""
    if not visit.site.settings.screening or visit.user.may("reviewer"):
        return ""
    screening = visit.site.people.screening(visit.name)
    return "open" if screening is None else "" if screening.passed else "failed"


def claim(visit: Visit, kinds: Sequence[str] | None, besides: int = 0) -> tuple[Drawn | None, str]:
    """The task to work on next, or after the task `besides`; and "quiz" where the result of the quiz comes first.

    A quiz is tasks with known answers in the pool QUIZ; who has not taken it gets nothing else.
    """
    desk, state = visit.site.desk, quiz_of(visit)
    if state == "failed":
        return None, "quiz"
    if state == "open" and _no_quiz.get(visit.site.store, 0.0) < time.monotonic():
        if (question := desk.draw(visit.name, None, QUIZ, besides)) is not None:
            return question, ""
        right, asked = Gold(visit.site.store).score(visit.name, QUIZ)
        if asked:
            visit.site.people.record_screening(visit.name, right, asked, visit.site.settings.screening)
            return None, "quiz"
        _no_quiz[visit.site.store] = time.monotonic() + LOOK_AGAIN
    return desk.draw(visit.name, kinds, besides=besides), ""


def to_next(visit: Visit, kind: str, **said: str) -> Response:
    """Claim a task, of this kind if there is one, and go there."""
    if kind and kind not in KINDS:
        raise UserError("there is no such kind of task")
    if kind == "review" and not visit.user.may("reviewer"):
        raise UserError("reviews are for reviewers")
    found, instead = claim(visit, [kind] if kind else None)
    if found is None and not instead and kind and said:  # after an answer: anything else there is
        found, instead = claim(visit, None)
    if found is not None:
        return go(f"/task/{found.task}", **said)
    return go("/quiz", said="quiz") if instead else go("/nothing", kind=kind, **said)


def midnight() -> float:
    """When today began, in UTC."""
    return time.time() // 86400 * 86400
