"""Tokens for programs: each acts for an account, until it expires or is revoked.  Only its hash is kept."""

from dataclasses import dataclass

import sqlalchemy as sa

from heed.errors import UserError
from heed.feedback.people import DAY, SEEN_EVERY, People, User, hashed, log, new_token
from heed.feedback.schema_people import api_tokens
from heed.records import new_id


@dataclass(frozen=True)
class ApiToken:
    """What is known of a token without the token."""

    id: str
    label: str
    name: str  # whose it is
    made_at: float
    expires_at: float
    used_at: float | None
    revoked: bool


@dataclass(frozen=True)
class Tokens:
    """The tokens of a store's accounts."""

    people: People

    def make(self, by: str, name: str, label: str, days: float = 90) -> tuple[ApiToken, str]:
        """A token for the account `name`, shown now and never again."""
        if self.people.user(name) is None:
            raise UserError(f"nobody is called {name!r}")
        if not 0 < days <= 3650:
            raise UserError(f"a token for {days:g} days; expected up to 3650")
        token, now = new_token(), self.people.store.clock()
        row = {"id": new_id(), "name": label, "token_sha256": hashed(token), "labeler_id": name, "made_at": now,
               "expires_at": now + days * DAY}  # fmt: skip
        with self.people.store.database.writing(ordered=False) as db:
            db.execute(sa.insert(api_tokens), row)
            log(db, now, by, "make token", row["id"], {"for": name, "label": label})
        return ApiToken(row["id"], label, name, now, row["expires_at"], None, False), token

    def list(self, name: str | None = None) -> list[ApiToken]:
        """Those of one account or of all, the newest first."""
        rows = sa.select(api_tokens).order_by(api_tokens.c.made_at.desc())
        with self.people.store.database.reading() as db:
            return [ApiToken(r.id, r.name, r.labeler_id, r.made_at, r.expires_at, r.used_at, r.revoked_at is not None)
                    for r in db.execute(rows if name is None else rows.where(api_tokens.c.labeler_id == name))]  # fmt: skip

    def revoke(self, by: str, id: str) -> None:
        """It opens no more."""
        now = self.people.store.clock()
        with self.people.store.database.writing(ordered=False) as db:
            db.execute(sa.update(api_tokens).where(api_tokens.c.id == id, api_tokens.c.revoked_at.is_(None)).values(
                revoked_at=now))  # fmt: skip
            log(db, now, by, "revoke token", id)

    def user(self, token: str) -> User | None:
        """Whom a token acts for; None where it opens nothing."""
        now = self.people.store.clock()
        this = (api_tokens.c.token_sha256 == hashed(token), api_tokens.c.expires_at > now, api_tokens.c.revoked_at.is_(None))
        with self.people.store.database.reading() as db:
            row = db.execute(sa.select(api_tokens.c.labeler_id, api_tokens.c.used_at).where(*this)).first()
        if row is None:
            return None
        if row.used_at is None or now - row.used_at > SEEN_EVERY:
            with self.people.store.database.writing(ordered=False) as db:
                db.execute(sa.update(api_tokens).where(*this).values(used_at=now))
        user = self.people.user(row.labeler_id)
        return user if user and not user.disabled else None
