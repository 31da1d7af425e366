"""Conversations: a person plays both sides (converse), or talks with the model and chooses between two replies at each turn
(live_compare; Bai et al. 2022, section 2.2).

The page shows one path through the tree, from the first message to `at`; other branches are a link away.  Waiting for a
model takes places of its own, so that nobody else waits with them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from heed.feedback.assignment import Assignment, NotAssigned
from heed.feedback.bodies import InvalidAnswer
from heed.feedback.talks import Said
from heed.web.engines import Silent, suggestions, two_replies
from heed.web.guard import Labeler, Visit
from heed.web.ids import uuid7
from heed.web.pages import flat, go, page
from heed.web.sheets import content_warning, rating_letters, reworded, steps

router = APIRouter()
AT_ONCE = 32  # people who may wait for a model at a time
_limits: dict[int, anyio.CapacityLimiter] = {}


@dataclass(frozen=True)
class Turn:
    """A message on the path, with the last message of each other branch that begins at the same place."""

    said: Said
    other: Said | None  # the reply that was not chosen
    branches: tuple[tuple[int, str, bool], ...]  # (number, where it ends, whether it is this one)


@router.post("/task/{task}/say", include_in_schema=False)
def say(visit: Labeler, task: int) -> Response:
    """Add a message to the conversation."""
    form = visit.form
    suggestion = form.get("suggestion") or None
    text = form.get("text", "") if form.get("text", "").strip() else form.get(f"draft.{suggestion}", "")
    try:
        said = visit.site.talks.say(visit.name, task, form.get("message_id", ""), form.get("parent_id") or None,
                                    form.get("role", "user"), text, suggestion)  # fmt: skip
    except InvalidAnswer as error:
        assignment = visit.site.desk.assignment(visit.name, task)
        return talk_page(visit, assignment, 422, faults=reworded(error.fields), values=form, at=form.get("parent_id") or "")
    return go(f"/task/{task}", at=said.id)


@router.post("/task/{task}/suggest", include_in_schema=False)
async def suggest(visit: Labeler, task: int) -> Response:
    """What the model would say next, to choose from and to edit."""
    form = visit.form
    at = form.get("parent_id") or None
    assignment = await run_in_threadpool(visit.site.desk.assignment, visit.name, task)
    prompt = await run_in_threadpool(visit.site.talks.prompt, visit.name, task, at)
    drafts, fault = [], ""
    try:
        found = await waiting(suggestions, visit.site.engines, prompt)
        drafts = await run_in_threadpool(visit.site.talks.suggest, visit.name, task, at, found)
    except Silent as error:
        fault = str(error)
    return await run_in_threadpool(talk_page, visit, assignment, drafts=drafts, silent=fault, values=form, at=at or "start")


@router.post("/task/{task}/replies", include_in_schema=False)
async def replies(visit: Labeler, task: int) -> Response:
    """Two replies to the last message, both or none."""
    at = visit.form.get("parent_id", "")
    assignment = await run_in_threadpool(visit.site.desk.assignment, visit.name, task)
    try:
        await ask_replies(visit, task, at)
    except Silent as error:
        return await run_in_threadpool(talk_page, visit, assignment, 503, silent=str(error), at=at)
    return go(f"/task/{task}", at=at)


async def ask_replies(visit: Visit, task: int, message: str) -> Assignment:
    """The comparison of two replies to that message.  Raises Silent."""
    prompt = await run_in_threadpool(visit.site.talks.prompt, visit.name, task, message)
    pair = await waiting(two_replies, visit.site.engines, prompt)
    return await run_in_threadpool(visit.site.talks.replies, visit.name, task, message, pair)


async def waiting(call: Any, *arguments: Any) -> Any:
    """A call of a model, in a thread that is not one of those that serve pages."""
    limiter = _limits.setdefault(id(anyio.lowlevel.current_token()), anyio.CapacityLimiter(AT_ONCE))
    return await anyio.to_thread.run_sync(call, *arguments, limiter=limiter)


def talk_page(
    visit: Visit, assignment: Assignment, status: int = 200, *, at: str = "", faults: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None, drafts: Sequence[tuple[str, str]] = (), silent: str = "",
) -> Response:  # fmt: skip
    """The conversation up to `at`, or to where it was left; and whatever comes next."""
    thread = visit.site.talks.thread(visit.name, assignment.task)
    at = at or visit.request.query_params.get("at", "")
    path = path_to(thread, at)
    last = path[-1].said if path else None
    turn = None
    if last is not None and last.turn is not None and last.chosen is None:
        turn = visit.site.desk.assignment(visit.name, last.turn)
        path = path[:-1]
    if values is None:
        values = flat(assignment.draft.body) if assignment.draft else {}
    spoken = next((each.said for each in reversed(path) if each.said.role == "assistant"), None)
    end = path[-1].said if path else None
    both = assignment.kind == "converse"
    waits = not both and end is not None and end.role == "user" and turn is None
    role = ("assistant" if end is not None and end.role == "user" else "user") if both else "user"
    return page(
        visit, "talk.html", status, task=assignment, form=assignment.form, path=path, end=end, turn=turn, waits=waits,
        role=role, spoken=spoken, drafts=drafts, silent=silent, faults=faults or {}, values=values, both=both,
        letters=rating_letters(assignment), engines=bool(visit.site.engines), message_id=uuid7(), submission_id=uuid7(),
        turn_id=uuid7(), skip_id=uuid7(), undo_id=uuid7(), done="", rev=assignment.draft.rev if assignment.draft else 0,
        steps=steps(turn.form, turn.mode) if turn else [], warning=content_warning(assignment), revises="", conflict="",
        stored=None)  # fmt: skip


def path_to(thread: Sequence[Said], at: str) -> list[Turn]:
    """The messages from the first to `at`; without one, to the last that was said.  "start" is before the first.

    Where `at` has two replies, the chosen one follows; while nobody has chosen, the first of them ends the path.
    """
    by_id = {said.id: said for said in thread}
    if at == "start":
        return []
    if at and at not in by_id:
        raise NotAssigned("there is no such message in this conversation")
    end = by_id[at] if at else thread[-1] if thread else None
    if end is not None and end.turn is not None:
        pair = [said for said in thread if said.turn == end.turn]
        end = next((said for said in pair if said.chosen), pair[0])
    elif end is not None:
        pair = [said for said in thread if said.parent_id == end.id and said.turn is not None]
        end = next((said for said in pair if said.chosen), pair[0] if pair else end)
    path: list[Turn] = []
    while end is not None:
        path.append(_turn(thread, end))
        end = by_id.get(end.parent_id) if end.parent_id else None
    return path[::-1]


def _turn(thread: Sequence[Said], said: Said) -> Turn:
    siblings = [one for one in thread if one.parent_id == said.parent_id]
    other = next((one for one in siblings if said.turn is not None and one.turn == said.turn and one.id != said.id), None)
    if said.turn is not None or len(siblings) < 2:
        return Turn(said, other, ())
    return Turn(said, other, tuple((i, _leaf(thread, one), one.id == said.id) for i, one in enumerate(siblings, start=1)))


def _leaf(thread: Sequence[Said], said: Said) -> str:
    """The last thing that was said after this."""
    below = {said.id}
    last = said
    for one in thread:
        if one.parent_id in below:
            below.add(one.id)
            last = one
    return last.id
