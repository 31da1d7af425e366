"""What happens when a request cannot be served: one message, as a page or as JSON, and never a traceback."""

import json
import logging
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from heed.errors import RunError, UserError
from heed.feedback.assignment import NotAssigned
from heed.feedback.bodies import InvalidAnswer
from heed.feedback.desk import TooLate
from heed.feedback.filing import Conflict
from heed.feedback.people import Refused, Throttled
from heed.web.engines import Silent
from heed.web.guard import Forged, NoSession, csrf_of
from heed.web.pages import Page, local, render

log = logging.getLogger("heed.web")

# The first that fits: kind of error -> status.
STATUS = ((InvalidAnswer, 422), (Conflict, 409), (TooLate, 409), (NotAssigned, 404), (Throttled, 429), (Refused, 403),
          (Forged, 403), (Silent, 503), (RecursionError, 400), (UserError, 400), (RunError, 503))  # fmt: skip
TITLES = {400: "That did not make sense", 403: "Not for you", 404: "There is nothing here", 405: "Not like that",
          409: "Somebody was here before", 422: "Something is missing", 429: "Too many attempts",
          500: "We made a mistake", 503: "Not just now"}  # fmt: skip


class Json(JSONResponse):
    """JSON in ASCII: halves of surrogate pairs survive."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False).encode()


def install(app: FastAPI) -> None:
    """Answer every error of ours."""
    for kind, status in STATUS:
        app.add_exception_handler(kind, _handler(status))
    app.add_exception_handler(NoSession, _no_session)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def refuse(request: Request, status: int, message: str, **more: Any) -> Response:
    """The message as a page, or for /api as JSON."""
    if request.url.path.startswith("/api/"):
        return Json({"message": message, **more}, status)
    site = request.app.state.site
    key = request.cookies.get(site.cookie, "")
    values = {"status": status, "message": message, "heading": TITLES.get(status, "Something went wrong"), "user": None,
              "csrf": csrf_of(site, key), "title": site.settings.title}  # fmt: skip
    return Page(await run_in_threadpool(render, request, "error.html", **values), status)


def _handler(status: int):
    async def handle(request: Request, error: Exception) -> Response:
        more: dict[str, Any] = {}
        if isinstance(error, InvalidAnswer):
            more["fields"] = error.fields
        if isinstance(error, Conflict):
            more["stored"] = error.stored
        message = "this is nested too deeply" if isinstance(error, RecursionError) else str(error)
        response = await refuse(request, status, message, **more)
        if isinstance(error, Throttled):
            response.headers["Retry-After"] = str(max(1, round(error.wait)))
        if isinstance(error, RunError):
            log.error("%s", error)
            response.headers["Retry-After"] = "5"
        return response

    return handle


async def _no_session(request: Request, error: NoSession) -> Response:
    if request.url.path.startswith("/api/"):
        return Json({"message": "please log in"}, 401, {"WWW-Authenticate": "Bearer"})
    from heed.web.routes.access import login_page

    back = request.url.path if request.method == "GET" else ""
    kept = json.dumps({"path": request.url.path, "fields": error.fields}) if request.method != "GET" else ""
    return await run_in_threadpool(login_page, request, back=local(back), kept=kept, status=401)


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    fields = {".".join(str(part) for part in e["loc"][1:]) or str(e["loc"][0]): str(e["msg"]) for e in error.errors()}
    return await refuse(request, 422, "; ".join(f"{name}: {said}" for name, said in fields.items()), fields=fields)


async def _http(request: Request, error: HTTPException) -> Response:
    said = {404: "there is no such page", 405: "this page cannot be asked for in that way"}
    plain = error.detail in ("Not Found", "Method Not Allowed")
    return await refuse(request, error.status_code, said[error.status_code] if plain else str(error.detail))


async def unexpected(request: Request, error: Exception) -> Response:
    """A fault of ours: noted with its traceback, which the page does not show."""
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return await refuse(request, 500, "this is a fault of the program; it was noted, and nothing of yours is lost")
