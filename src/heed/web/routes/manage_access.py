"""For managers: who may come in.  Nobody gives more than they have: only an admin makes managers and admins."""

from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from heed.errors import UserError
from heed.feedback.people import User
from heed.feedback.schema_people import ROLES
from heed.web.guard import Admin, Manager, Visit
from heed.web.pages import go, page
from heed.web.routes.manage_work import number

router = APIRouter(prefix="/manage/access")


@router.get("", include_in_schema=False)
def access(visit: Manager) -> Response:
    """Accounts and invitations."""
    return access_page(visit)


@router.post("/invite", include_in_schema=False)
def invite(visit: Manager) -> Response:
    """A link, shown this once."""
    form = visit.form
    try:
        if form.get("role") in ROLES and form["role"] not in may_give(visit):
            raise HTTPException(403, "nobody gives more than they have")
        _, token = visit.site.people.invite(visit.name, form.get("role", ""), form.get("pool", "").strip(),
                                            number(form, "uses", 1, 1000), number(form, "days", 1, 365))  # fmt: skip
    except UserError as error:
        return access_page(visit, 422, fault=str(error))
    base = visit.site.settings.public_url.rstrip("/") or str(visit.request.base_url).rstrip("/")
    return access_page(visit, link=f"{base}/invite/{token}")


@router.post("/invite/{id}/revoke", include_in_schema=False)
def revoke(visit: Manager, id: str) -> Response:
    """It opens no more."""
    visit.site.people.revoke_invite(visit.name, id)
    return go("/manage/access", said="done")


@router.post("/people/{name}", include_in_schema=False)
def person(visit: Manager, name: str) -> Response:
    """Their pool, and whether they are given anything new."""
    _below(visit, name)
    visit.site.people.set(visit.name, name, pool=visit.form.get("pool", "").strip(), paused=visit.form.get("paused") == "1")
    return go("/manage/access", said="done")


@router.post("/people/{name}/logout", include_in_schema=False)
def logout(visit: Manager, name: str) -> Response:
    """Every session of theirs ends."""
    _below(visit, name)
    visit.site.people.logout_everywhere(visit.name, name)
    return go("/manage/access", said="done")


@router.post("/people/{name}/role", include_in_schema=False)
def role(visit: Admin, name: str) -> Response:
    """What they may do, and whether they may come in at all."""
    try:
        visit.site.people.set(visit.name, name, role=visit.form.get("role", ""), disabled=visit.form.get("disabled") == "1")
    except UserError as error:
        return access_page(visit, 422, fault=str(error))
    return go("/manage/access", said="done")


def may_give(visit: Visit) -> tuple[str, ...]:
    """Roles that they may give to others."""
    return ROLES if visit.user.role == "admin" else ROLES[: ROLES.index("manager")]


def access_page(visit: Visit, status: int = 200, **values: Any) -> Response:
    """Everybody, and every door."""
    people, now = visit.site.people, visit.site.store.clock()
    return page(visit, "manage_access.html", status, tab="access", users=people.users(), done=visit.site.work.labelers(),
                invites=[one for one in people.invites() if not one.revoked and one.used < one.uses and one.expires_at > now],
                roles=ROLES, may_give=may_give(visit), **{"fault": "", "link": "", **values})


def _below(visit: Visit, name: str) -> User:
    user = visit.site.people.user(name)
    if user is None:
        raise UserError("nobody is called that")
    if visit.user.role != "admin" and user.name != visit.name and ROLES.index(user.role) >= ROLES.index(visit.user.role):
        raise HTTPException(403, "only an admin may do that to a manager")
    return user
