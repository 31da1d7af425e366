"""Who may come in, checked before anything else happens.  Every route takes a Visit from one of the names at the end.

A change needs more than the session's cookie: the page's token (in the form, or in the header X-CSRF-Token) and, where the
browser says it, that the request comes from our own page.  A program shows its token in `Authorization: Bearer` instead.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from heed.feedback.people import User
from heed.web.site import Site

SAFE = ("GET", "HEAD")
MAX_FIELDS = 2000
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class NoSession(Exception):
    """Nobody is logged in.  `fields`: what was sent, so that it can be sent again after logging in."""

    def __init__(self, fields: list[tuple[str, str]]):
        super().__init__("please log in")
        self.fields = fields


class Forged(Exception):
    """A change that our own page did not ask for, or asked for too long ago."""


@dataclass(frozen=True)
class Visit:
    """One request of somebody.  `user` is None only where anybody may come; `key` is what the browser's cookie holds."""

    request: Request
    site: Site
    user: User | None
    key: str
    fields: list[tuple[str, str]] = field(default_factory=list)  # of a posted form, the page's token left out
    raw: bytes = b""  # what was posted

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def csrf(self) -> str:
        """The token of this browser's pages; it outlives a restart."""
        return csrf_of(self.site, self.key)

    @property
    def form(self) -> Mapping[str, str]:
        """The fields by name; the last of each."""
        return dict(self.fields)


class Needs:
    """A dependency that lets in those who may do what `role` may; "" lets in anybody."""

    def __init__(self, role: str):
        self.role = role

    async def __call__(self, request: Request) -> Visit:
        site: Site = request.app.state.site
        api = request.scope["path"].startswith("/api/")
        fields, raw = await _posted(request)
        bearer = request.headers.get("authorization", "")
        if api and bearer.lower().startswith("bearer "):
            user = await run_in_threadpool(site.tokens.user, bearer[7:].strip())
            if user is None:
                raise NoSession([])
            return Visit(request, site, self._allowed(user), "", fields, raw)
        key = request.cookies.get(site.cookie, "")
        user = site.people.known(key) or await run_in_threadpool(site.people.session, key) if key else None
        visit = Visit(request, site, user, key or secrets.token_urlsafe(32), [f for f in fields if f[0] != "csrf"], raw)
        if self.role and user is None:
            raise NoSession(visit.fields)
        if request.method not in SAFE:
            check_origin(request, site)
            _check_token(request, visit, dict(fields).get("csrf", ""))
        if self.role:
            self._allowed(user)
        return visit

    def _allowed(self, user: User) -> User:
        if self.role and not user.may(self.role):
            raise HTTPException(403, f"this is for a {self.role}; your account is a {user.role}'s")
        return user


def csrf_of(site: Site, key: str) -> str:
    """The token for the pages of the browser that holds `key`; it cannot be made without both key and secret."""
    return hmac.digest((site.settings.secret + key).encode(), b"heed page", "sha256").hex()


def check_origin(request: Request, site: Site) -> None:
    """Raises Forged where the browser says that another site asked."""
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forged("this was asked for by another site")
    origin = request.headers.get("origin")
    ours = (f"{request.scope['scheme']}://{request.headers.get('host', '')}", site.settings.public_url.rstrip("/"))
    if origin is not None and (not origin or origin not in ours):
        raise Forged("this was asked for by another site")


def _check_token(request: Request, visit: Visit, in_form: str) -> None:
    given = request.headers.get("x-csrf-token") or in_form
    if not hmac.compare_digest(given.encode("utf-8", "replace"), visit.csrf.encode()):
        raise Forged("this page is out of date; load it again")


async def _posted(request: Request) -> tuple[list[tuple[str, str]], bytes]:
    """The fields of a form, or the bytes of anything else."""
    if request.method in SAFE:
        return [], b""
    try:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in FORMS:
            return [], await request.body()
        sent = await request.form(max_files=0, max_fields=MAX_FIELDS)
    except (MultiPartException, ClientDisconnect) as error:
        raise HTTPException(400, f"cannot read the form: {error}") from None
    return [(name, value) for name, value in sent.multi_items() if not isinstance(value, UploadFile)], b""


Anyone = Annotated[Visit, Depends(Needs(""))]
Labeler = Annotated[Visit, Depends(Needs("labeler"))]
Reviewer = Annotated[Visit, Depends(Needs("reviewer"))]
Manager = Annotated[Visit, Depends(Needs("manager"))]
Admin = Annotated[Visit, Depends(Needs("admin"))]
