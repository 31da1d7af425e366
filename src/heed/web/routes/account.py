"""One's own account: the password, the sessions, the tokens for programs."""

from fastapi import APIRouter
from starlette.responses import Response

from heed.errors import UserError
from heed.web.guard import Labeler, Visit
from heed.web.pages import go, page

router = APIRouter()
TOKEN_DAYS = 90


@router.get("/account", include_in_schema=False)
def account(visit: Labeler) -> Response:
    """The page."""
    return account_page(visit)


@router.post("/account/password", include_in_schema=False)
def password(visit: Labeler) -> Response:
    """A new password ends every session, this one too."""
    form = visit.form
    if form.get("new") != form.get("again"):
        return account_page(visit, 422, fault="the two passwords differ")
    try:
        visit.site.people.change_password(visit.name, form.get("old", ""), form.get("new", ""))
    except UserError as error:
        return account_page(visit, 422, fault=str(error))
    return go("/login", said="password")


@router.post("/account/logout-everywhere", include_in_schema=False)
def logout_everywhere(visit: Labeler) -> Response:
    """Every session of theirs ends."""
    visit.site.people.logout_everywhere(visit.name, visit.name)
    return go("/login")


@router.post("/account/tokens", include_in_schema=False)
def make_token(visit: Labeler) -> Response:
    """A token, shown this once."""
    label = visit.form.get("label", "").strip()[:100] or "unnamed"
    _, token = visit.site.tokens.make(visit.name, visit.name, label, TOKEN_DAYS)
    return account_page(visit, token=token)


@router.post("/account/tokens/{id}/revoke", include_in_schema=False)
def revoke_token(visit: Labeler, id: str) -> Response:
    """It opens no more."""
    if id not in {token.id for token in visit.site.tokens.list(visit.name)}:
        raise UserError("you have no such token")
    visit.site.tokens.revoke(visit.name, id)
    return go("/account", said="done")


def account_page(visit: Visit, status: int = 200, **values: str) -> Response:
    """Everything there is to change."""
    tokens = visit.site.tokens.list(visit.name)
    return page(visit, "account.html", status, tokens=tokens, **{"fault": "", "token": "", **values})
