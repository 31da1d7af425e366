"""The tables of who may come in: accounts, invitations, sessions, tokens, and what was done with them.

Secrets are never here: passwords as argon2id, everything else that opens a door as the SHA-256 of a random token.
"""

from sqlalchemy import Column, Double, Index, Integer, Table

from heed.feedback.schema import TEXT, AnyText, Sequence, flag, key, metadata, one_of

ROLES = ("labeler", "reviewer", "manager", "admin")  # each may do what those before it may

users = Table(
    "users",
    metadata,
    key("labeler_id", "labelers.id", primary_key=True),  # the name to log in with
    Column("password", AnyText, nullable=False),  # argon2id
    Column("role", AnyText, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("disabled_at", Double),
    one_of("role", *ROLES),
)
invites = Table(
    "invites",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("token_sha256", AnyText, nullable=False, unique=True),
    Column("role", AnyText, nullable=False),
    Column("pool", AnyText, nullable=False),
    Column("uses", Integer, nullable=False),  # how many may come
    Column("used", Integer, nullable=False),
    Column("made_by", AnyText, nullable=False),
    Column("made_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("revoked_at", Double),
    one_of("role", *ROLES),
)
web_sessions = Table(
    "web_sessions",
    metadata,
    Column("token_sha256", AnyText, primary_key=True),
    key("labeler_id", "users.labeler_id", index=True),
    Column("made_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("revoked_at", Double),
)
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("name", AnyText, nullable=False),
    Column("token_sha256", AnyText, nullable=False, unique=True),
    key("labeler_id", "users.labeler_id", index=True),
    Column("made_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
    Column("revoked_at", Double),
)
logins = Table(
    "logins",  # attempts of the last day, to slow down whoever guesses
    metadata,
    Column("seq", Sequence, primary_key=True),
    Column("name", AnyText, nullable=False),
    Column("source", AnyText, nullable=False),  # where from: a hash, never an address
    flag("ok"),
    Column("at", Double, nullable=False),
)
Index("ix_logins_name", logins.c.name, logins.c.at)
Index("ix_logins_source", logins.c.source, logins.c.at)
screenings = Table(
    "screenings",
    metadata,
    Column("seq", Sequence, primary_key=True),
    key("labeler_id", "labelers.id", index=True),
    Column("score", Double, nullable=False),  # share of the quiz that was right
    Column("asked", Integer, nullable=False),
    flag("passed"),
    Column("at", Double, nullable=False),
)
audit_log = Table(
    "audit_log",
    metadata,
    Column("seq", Sequence, primary_key=True),
    Column("at", Double, nullable=False),
    Column("actor", AnyText, nullable=False),
    Column("action", AnyText, nullable=False),
    Column("target", AnyText, **TEXT),
    Column("detail", AnyText, nullable=False),  # JSON
)
