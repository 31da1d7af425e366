"""Coming in: log in, log out, accept an invitation; and the page between us and a link that leads out."""

import json
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from heed.errors import UserError
from heed.feedback.people import Refused, Throttled, User
from heed.web.guard import SAFE, Anyone, Labeler, Visit, csrf_of
from heed.web.pages import THEMES, Page, go, local, page, render
from heed.web.refusals import Json
from heed.web.safe_text import leads_out
from heed.web.site import Site

router = APIRouter()
VISITOR_SECONDS = 3600
THEME_SECONDS = 365 * 86400


@router.get("/healthz", include_in_schema=False)
def healthz(visit: Anyone) -> Response:
    """The server runs and reaches its store."""
    visit.site.people.empty()
    return PlainTextResponse("ok\n")


@router.get("/login", include_in_schema=False)
def login_form(visit: Anyone, back: str = "/") -> Response:
    """Name and password."""
    if visit.user:
        return go(local(back))
    return login_page(visit.request, back=local(back), visit=visit)


@router.post("/login", include_in_schema=False)
def login(visit: Anyone) -> Response:
    """A new session; an older one of this browser ends.  What was being sent when the last one ended is offered again."""
    site, form = visit.site, visit.form
    name, back, kept = form.get("name", ""), local(form.get("back", "/")), form.get("kept", "")
    try:
        token = site.people.login(name.strip(), form.get("password", ""), source(visit.request))
    except Refused as error:
        status = 429 if isinstance(error, Throttled) else 401
        return login_page(visit.request, back=back, kept=kept, status=status, fault=str(error), name=name, visit=visit)
    if visit.user:
        site.people.logout(visit.key)
    again = resend(kept)
    response = go(back)
    if again:
        response = Page(render(visit.request, "resend.html", user=site.people.session(token), csrf=csrf_of(site, token),
                               title=site.settings.title, **again))
    set_session(response, site, token)
    return response


@router.post("/api/login", include_in_schema=False)
def login_again(visit: Anyone) -> Response:
    """As /login, for a page that stays open: JSON {"name", "csrf"}."""
    site, form = visit.site, visit.form
    token = site.people.login(form.get("name", "").strip(), form.get("password", ""), source(visit.request))
    response = Json({"name": form.get("name", "").strip(), "csrf": csrf_of(site, token)})
    set_session(response, site, token)
    return response


@router.get("/api/session", include_in_schema=False)
def session(visit: Anyone) -> Response:
    """Who is logged in in this browser, and the token that its pages need now."""
    response = Json({"name": visit.user.name if visit.user else None, "csrf": visit.csrf})
    if not visit.user:
        set_session(response, visit.site, visit.key, VISITOR_SECONDS)
    return response


@router.post("/logout", include_in_schema=False)
def logout(visit: Labeler) -> Response:
    """This session ends."""
    visit.site.people.logout(visit.key)
    response = go("/login")
    response.delete_cookie(visit.site.cookie, path="/", secure=visit.site.encrypted, httponly=True, samesite="strict")
    return response


@router.get("/invite/{token}", include_in_schema=False)
def invitation(visit: Anyone, token: str) -> Response:
    """Choose a name and a password."""
    invite = visit.site.people.open_invite(token)
    response = page(visit, "invite.html", invite=invite, token=token, fault="", name="")
    return as_visitor(response, visit)


@router.post("/invite/{token}", include_in_schema=False)
def accept(visit: Anyone, token: str) -> Response:
    """Make the account, and go on to log in."""
    form, people = visit.form, visit.site.people
    invite = people.open_invite(token)
    fault = ""
    if form.get("password") != form.get("again"):
        fault = "the two passwords differ"
    else:
        try:
            people.accept(token, form.get("name", ""), form.get("password", ""))
        except Refused:
            raise
        except UserError as error:
            fault = str(error)
    if fault:
        return page(visit, "invite.html", 422, invite=invite, token=token, fault=fault, name=form.get("name", ""))
    return go("/login", said="welcome")


@router.get("/leave", include_in_schema=False)
def leave(visit: Labeler, to: Annotated[str, Query(max_length=4000)]) -> Response:
    """Where a link in a text leads; it is followed only from here."""
    if not leads_out(to):
        raise UserError("that is no address of a page")
    return page(visit, "leave.html", to=to)


@router.post("/theme", include_in_schema=False)
def theme(visit: Anyone) -> Response:
    """Light, dark, or as the system says; kept in this browser."""
    chosen = visit.form.get("theme", "")
    response = go(local(visit.form.get("back", "/")))
    response.set_cookie("theme", chosen if chosen in THEMES else "", max_age=THEME_SECONDS, samesite="strict", httponly=True,
                        secure=visit.site.encrypted)
    return response


def login_page(
    request: Request, *, back: str, kept: str = "", status: int = 200, fault: str = "", name: str = "",
    visit: Visit | None = None,
) -> Response:  # fmt: skip
    """The form, with a cookie of its own for the page's token."""
    from secrets import token_urlsafe

    site: Site = request.app.state.site
    key = visit.key if visit else token_urlsafe(32)
    nobody: User | None = None
    response = Page(render(request, "login.html", user=nobody, csrf=csrf_of(site, key), title=site.settings.title, back=back,
                           kept=kept, fault=fault, name=name, ended=bool(kept), method=request.method in SAFE), status)
    set_session(response, site, key, VISITOR_SECONDS)
    return response


def as_visitor(response: Response, visit: Visit) -> Response:
    """With the cookie that the page's token belongs to, for somebody who is not logged in."""
    if visit.user is None:
        set_session(response, visit.site, visit.key, VISITOR_SECONDS)
    return response


def set_session(response: Response, site: Site, token: str, seconds: int = 14 * 86400) -> None:
    """The cookie, which no script can read and no other site can make the browser send."""
    response.set_cookie(site.cookie, token, max_age=seconds, path="/", secure=site.encrypted, httponly=True, samesite="strict")


def resend(kept: str) -> dict:
    """What the browser was sending when the session had ended: {"path", "fields"}, or nothing."""
    try:
        again = json.loads(kept) if kept else {}
        fields = [(str(name), str(value)) for name, value in again["fields"] if name != "csrf"] if again else []
        path = local(str(again["path"]), "") if again else ""
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {"path": path, "fields": fields} if path else {}


def source(request: Request) -> str:
    """Where a log-in comes from."""
    return request.client.host if request.client else ""
