"""Who may come in, and as what.

There is no sign-up and no default account: the first account is made with an invitation that `heed serve` prints.
Passwords are kept as argon2id; invitations, sessions and tokens as the SHA-256 of what opens the door, which is shown once.
"""

import json
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.engine import Connection

from heed.errors import UserError, nearest
from heed.feedback.schema import labelers
from heed.feedback.schema_people import ROLES, audit_log, invites, logins, screenings, users, web_sessions
from heed.feedback.store import SQLStore
from heed.records import new_id

DAY = 86_400.0
SESSION_DAYS = 14  # since the last visit
KNOWN_FOR = 1.0  # seconds for which a session is not looked up again; what this server changes counts at once
MOST_KNOWN = 10_000  # of them
SEEN_EVERY = 300.0  # seconds between two notes of a visit, so that a page view is no write
NAME = re.compile(r"\w[\w.@+-]{1,63}")
PASSWORD = (10, 500)  # characters: at least, at most
WINDOW = 900.0  # seconds in which so many failed logins are let pass:
PER_BOTH, PER_NAME, PER_SOURCE = 5, 20, 50  # a name from one source, a name, a source


class Refused(UserError):
    """Not let in: one message for every reason, so that it gives nothing away."""


class Throttled(Refused):
    """Too many failed attempts; `wait` seconds until the next is heard."""

    def __init__(self, wait: float):
        super().__init__(f"too many attempts; try again in {max(1, round(wait / 60))} minutes")
        self.wait = wait


@dataclass(frozen=True)
class User:
    """Somebody with an account.  `name` is the labeler's."""

    name: str
    role: str
    pool: str
    paused: bool
    disabled: bool
    made_at: float

    def may(self, role: str) -> bool:
        """Whether they may do what `role` may."""
        return not self.disabled and ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class Invite:
    """A door that opens `uses` times until `expires_at`."""

    id: str
    role: str
    pool: str
    uses: int
    used: int
    made_by: str
    made_at: float
    expires_at: float
    revoked: bool


@dataclass(frozen=True)
class Screening:
    """How a labeler did in the quiz."""

    score: float
    asked: int
    passed: bool
    at: float


@dataclass(frozen=True)
class Audit:
    """Something that was done: `actor` did `action` to `target`."""

    seq: int
    at: float
    actor: str
    action: str
    target: str
    detail: dict[str, Any]


@dataclass(frozen=True)
class People:
    """The accounts of a store.  `hasher`: how dear a guess of a password is."""

    store: SQLStore
    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    _known: "_Known" = field(default_factory=lambda: _Known(), init=False, repr=False, compare=False)

    def empty(self) -> bool:
        """Nobody has an account yet."""
        with self.store.database.reading() as db:
            return db.scalar(sa.select(users.c.labeler_id).limit(1)) is None

    # Invitations ---------------------------------------------------------------------------------------------------
    def invite(self, by: str, role: str, pool: str = "", uses: int = 1, days: float = 7) -> tuple[Invite, str]:
        """An invitation and its token, which is shown now and never again."""
        check_role(role)
        if not 1 <= uses <= 1000 or not 0 < days <= 365:
            raise UserError(f"an invitation for {uses} people and {days:g} days; expected 1 to 1000 people, up to 365 days")
        token, now = new_token(), self.store.clock()
        row = {"id": new_id(), "token_sha256": hashed(token), "role": role, "pool": pool, "uses": uses, "used": 0,
               "made_by": by, "made_at": now, "expires_at": now + days * DAY}  # fmt: skip
        with self._writing() as db:
            db.execute(sa.insert(invites), row)
            log(db, now, by, "invite", row["id"], {"role": role, "pool": pool, "uses": uses})
        return Invite(row["id"], role, pool, uses, 0, by, now, row["expires_at"], False), token

    def invites(self) -> list[Invite]:
        """All of them, the newest first."""
        with self.store.database.reading() as db:
            return [_invite(row) for row in db.execute(sa.select(invites).order_by(invites.c.made_at.desc()))]

    def open_invite(self, token: str) -> Invite:
        """The invitation, if it still opens.  Raises Refused."""
        with self.store.database.reading() as db:
            return _invite(self._opens(db, token))

    def revoke_invite(self, by: str, id: str) -> None:
        """It opens no more."""
        now = self.store.clock()
        with self._writing() as db:
            db.execute(sa.update(invites).where(invites.c.id == id, invites.c.revoked_at.is_(None)).values(revoked_at=now))
            log(db, now, by, "revoke invite", id)

    def accept(self, token: str, name: str, password: str) -> User:
        """Make an account.  Raises Refused for an invitation that opens no more, UserError for a bad name or password."""
        name = check_name(name)
        password_hash = self._hash(password)
        now = self.store.clock()
        with self.store.database.writing() as db:  # ordered: two may want one name
            row = self._opens(db, token)
            if db.scalar(sa.select(labelers.c.id).where(sa.func.lower(labelers.c.id) == name.lower())) is not None:
                raise UserError(f"the name {name!r} is taken; choose another")
            used = sa.update(invites).where(invites.c.id == row.id, invites.c.used < invites.c.uses)
            if db.execute(used.values(used=invites.c.used + 1)).rowcount != 1:
                raise Refused(_NO_INVITE)
            db.execute(sa.insert(labelers), {"id": name, "kind": "human", "pool": row.pool})
            db.execute(sa.insert(users), {"labeler_id": name, "password": password_hash, "role": row.role, "made_at": now})
            log(db, now, name, "accept invite", row.id, {"role": row.role})
        return User(name, row.role, row.pool, False, False, now)

    # Coming in -----------------------------------------------------------------------------------------------------
    def login(self, name: str, password: str, source: str) -> str:
        """The token of a new session.  `source`: where the attempt comes from, kept as a hash.

        Raises Refused for a wrong name or password, in the same words and the same time; Throttled after too many.
        """
        name, source, now = unicodedata.normalize("NFC", name)[:100], hashed(source)[:16], self.store.clock()
        with self._writing() as db:  # noted before it is heard, so that many at once are many as well
            _throttle(db, name, source, now)
            attempt = db.execute(sa.insert(logins), {"name": name, "source": source, "at": now}).inserted_primary_key[0]
            row = db.execute(sa.select(users).where(users.c.labeler_id == name)).first()
        right = self._verify(row.password if row else self._nobody, password) and row is not None and row.disabled_at is None
        if not right:
            raise Refused("wrong name or password")
        token = new_token()
        with self._writing() as db:
            db.execute(sa.update(logins).where(logins.c.seq == attempt).values(ok=1))
            db.execute(sa.delete(logins).where(logins.c.at < now - DAY))
            db.execute(sa.insert(web_sessions), {
                "token_sha256": hashed(token), "labeler_id": name, "made_at": now, "seen_at": now,
                "expires_at": now + SESSION_DAYS * DAY})  # fmt: skip
        return token

    def known(self, token: str) -> User | None:
        """Whose session it is, where that was looked up a moment ago; None says nothing."""
        user, until = self._known.users.get(token, (None, 0.0))
        return user if 0 < until - self.store.clock() <= KNOWN_FOR else None

    def session(self, token: str) -> User | None:
        """Whose session it is; None where it ended or never was."""
        if user := self.known(token):
            return user
        now, known = self.store.clock(), self._known.users
        with self.store.database.reading() as db:
            row = db.execute(_SESSION, {"token": hashed(token), "now": now}).first()
        if row is None:
            return None
        if now - row.seen_at > SEEN_EVERY:
            with self._writing() as db:
                this = web_sessions.c.token_sha256 == hashed(token)
                db.execute(sa.update(web_sessions).where(this).values(seen_at=now, expires_at=now + SESSION_DAYS * DAY))
        if len(known) >= MOST_KNOWN:
            known.clear()
        known[token] = (user := _user(row)), now + KNOWN_FOR
        return user

    def logout(self, token: str) -> None:
        """End this session."""
        self._end(web_sessions.c.token_sha256 == hashed(token))

    def logout_everywhere(self, by: str, name: str) -> None:
        """End every session of somebody."""
        self._end(web_sessions.c.labeler_id == name)
        self.log(by, "log out everywhere", name)

    # Accounts ------------------------------------------------------------------------------------------------------
    def user(self, name: str) -> User | None:
        """The account of that name."""
        with self.store.database.reading() as db:
            row = db.execute(_USERS.where(users.c.labeler_id == name)).first()
        return _user(row) if row else None

    def users(self) -> list[User]:
        """All accounts, by name."""
        with self.store.database.reading() as db:
            return [_user(row) for row in db.execute(_USERS.order_by(users.c.labeler_id))]

    def change_password(self, name: str, old: str, new: str) -> None:
        """Also ends every session of theirs.  Raises Refused where the old one is wrong."""
        with self.store.database.reading() as db:
            kept = db.scalar(sa.select(users.c.password).where(users.c.labeler_id == name))
        if not self._verify(kept or self._nobody, old) or kept is None:
            raise Refused("wrong name or password")
        fresh = self._hash(new)
        with self._writing() as db:
            db.execute(sa.update(users).where(users.c.labeler_id == name).values(password=fresh))
            log(db, self.store.clock(), name, "change password", name)
        self._end(web_sessions.c.labeler_id == name)

    def set(self, by: str, name: str, *, role: str | None = None, pool: str | None = None, paused: bool | None = None,
            disabled: bool | None = None) -> User:  # fmt: skip
        """Change what somebody may do.  Raises UserError where the last admin would be gone."""
        now = self.store.clock()
        account = {} if role is None else {"role": check_role(role)}
        account |= {} if disabled is None else {"disabled_at": now if disabled else None}
        person = {} if pool is None else {"pool": pool}
        person |= {} if paused is None else {"paused": int(paused)}
        with self.store.database.writing() as db:  # ordered: two admins may leave at once
            if db.scalar(sa.select(users.c.labeler_id).where(users.c.labeler_id == name)) is None:
                raise UserError(f"nobody is called {name!r}")
            for table, key, values in ((users, users.c.labeler_id, account), (labelers, labelers.c.id, person)):
                if values:
                    db.execute(sa.update(table).where(key == name).values(values))
            admins = sa.select(users.c.labeler_id).where(users.c.role == "admin", users.c.disabled_at.is_(None))
            if account and db.scalar(admins.limit(1)) is None:
                raise UserError(f"{name!r} is the last admin; make somebody else one first")
            said = {"role": role, "pool": pool, "paused": paused, "disabled": disabled}
            log(db, now, by, "change account", name, {k: v for k, v in said.items() if v is not None})
        self._known.forget()
        if disabled:
            self._end(web_sessions.c.labeler_id == name)
        return self.user(name)

    # The quiz, and what was done -------------------------------------------------------------------------------------
    def record_screening(self, labeler: str, right: float, asked: int, threshold: float = 0.75) -> Screening:
        """Keep how somebody did in the quiz.  Three quarters are InstructGPT's soft threshold (Ouyang et al. 2022, B.1)."""
        if asked < 1:
            raise UserError("a quiz without questions has no result")
        score, now = right / asked, self.store.clock()
        row = {"labeler_id": labeler, "score": score, "asked": asked, "passed": int(score >= threshold), "at": now}
        with self._writing() as db:
            db.execute(sa.insert(screenings), row)
        return Screening(score, asked, score >= threshold, now)

    def screening(self, labeler: str) -> Screening | None:
        """How they did the last time."""
        with self.store.database.reading() as db:
            row = db.execute(_SCREENING, {"labeler": labeler}).first()
        return Screening(row.score, row.asked, bool(row.passed), row.at) if row else None

    def log(self, actor: str, action: str, target: str = "", **detail: Any) -> None:
        """Note that something was done."""
        with self._writing() as db:
            log(db, self.store.clock(), actor, action, target, detail)

    def audit(self, before: int | None = None, limit: int = 100) -> list[Audit]:
        """What was done, the last first; page on with `before` = a seq."""
        rows = sa.select(audit_log).order_by(audit_log.c.seq.desc()).limit(limit)
        with self.store.database.reading() as db:
            rows = db.execute(rows if before is None else rows.where(audit_log.c.seq < before))
            return [Audit(r.seq, r.at, r.actor, r.action, r.target, json.loads(r.detail)) for r in rows]

    def _writing(self):
        return self.store.database.writing(ordered=False)

    def _opens(self, db: Connection, token: str) -> sa.Row:
        row = db.execute(sa.select(invites).where(invites.c.token_sha256 == hashed(token))).first()
        if row is None or row.revoked_at is not None or row.used >= row.uses or row.expires_at <= self.store.clock():
            raise Refused(_NO_INVITE)
        return row

    def _end(self, which: sa.ColumnElement[bool]) -> None:
        now = self.store.clock()
        with self._writing() as db:
            db.execute(sa.update(web_sessions).where(which, web_sessions.c.revoked_at.is_(None)).values(revoked_at=now))
        self._known.forget()

    def _hash(self, password: str) -> str:
        low, high = PASSWORD
        if not low <= len(password) <= high:
            raise UserError(f"a password has {low} to {high} characters, this one has {len(password)}")
        return self.hasher.hash(password.encode("utf-8", "surrogatepass"))

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self.hasher.verify(kept, password[: PASSWORD[1]].encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False

    @cached_property
    def _nobody(self) -> str:
        """A hash for names that nobody has, so that they take as long."""
        return self.hasher.hash(secrets.token_bytes(16))


class _Known:
    """Sessions that were looked up a moment ago: token -> (user, until when that holds)."""

    def __init__(self):
        self.users: dict[str, tuple[User, float]] = {}

    def forget(self) -> None:
        """After a change.  A look-up that is under way writes into the old one and changes nothing."""
        self.users = {}


def check_role(role: str) -> str:
    """Raises UserError for a role that does not exist."""
    if role not in ROLES:
        raise UserError(f"unknown role {role!r}{nearest(str(role), ROLES)}")
    return role


def check_name(name: str) -> str:
    """The name in its normal form.  Raises UserError for what cannot be one."""
    name = unicodedata.normalize("NFC", name).strip()
    if not NAME.fullmatch(name):
        raise UserError("a name has 2 to 64 letters, digits and . _ @ + -, and begins with a letter or a digit")
    return name


def new_token() -> str:
    """256 random bits, as text for an address."""
    return secrets.token_urlsafe(32)


def hashed(token: str) -> str:
    """What is kept of a token: it is random enough that no salt is needed."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def log(db: Connection, now: float, actor: str, action: str, target: str = "", detail: dict[str, Any] | None = None) -> None:
    """Note it inside the caller's transaction, with what was done."""
    row = {"at": now, "actor": actor, "action": action, "target": target, "detail": json.dumps(detail or {})}
    db.execute(sa.insert(audit_log), row)


def _throttle(db: Connection, name: str, source: str, now: float) -> None:
    """Raises Throttled.  Whoever came in since their last failure is who they say."""
    by_name, by_source = logins.c.name == name, logins.c.source == source
    for which, most in ((by_name & by_source, PER_BOTH), (by_name, PER_NAME), (by_source, PER_SOURCE)):
        came_in = db.scalar(sa.select(sa.func.max(logins.c.seq)).where(by_name & by_source, logins.c.ok == 1)) or 0
        failed = db.scalars(sa.select(logins.c.at).where(
            which, logins.c.ok == 0, logins.c.at > now - WINDOW, logins.c.seq > came_in,
        ).order_by(logins.c.seq.desc()).limit(most)).all()  # fmt: skip
        if len(failed) == most:
            raise Throttled(failed[-1] + WINDOW - now)


def _invite(row: sa.Row) -> Invite:
    return Invite(row.id, row.role, row.pool, row.uses, row.used, row.made_by, row.made_at, row.expires_at,
                  row.revoked_at is not None)  # fmt: skip


def _user(row: sa.Row) -> User:
    return User(row.name, row.role, row.pool, bool(row.paused), row.disabled_at is not None, row.made_at)


_NO_INVITE = "this invitation is used up, expired or revoked; ask for a new one"
_USER = (users.c.labeler_id.label("name"), users.c.role, labelers.c.pool, labelers.c.paused, users.c.disabled_at,
         users.c.made_at)  # fmt: skip
_USERS = sa.select(*_USER).select_from(users).join(labelers)
_SESSION = (sa.select(web_sessions.c.seen_at, *_USER).select_from(web_sessions).join(users).join(labelers)
            .where(web_sessions.c.token_sha256 == sa.bindparam("token"), web_sessions.c.expires_at > sa.bindparam("now"),
                   web_sessions.c.revoked_at.is_(None), users.c.disabled_at.is_(None)))  # fmt: skip
_SCREENING = (sa.select(screenings).where(screenings.c.labeler_id == sa.bindparam("labeler"))
              .order_by(screenings.c.seq.desc()).limit(1))  # fmt: skip
