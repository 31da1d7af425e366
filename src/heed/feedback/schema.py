"""The tables in which feedback is kept.

Append-only, except for `assignments` (who is at work on what), `tasks.open_slots` (derived from it) and `labelers.kind`.
Rankings point at completions by id, never by place, so that they cannot come to mean another text.
Portable types only (CHECK instead of ENUM): SQLite and PostgreSQL run the same migrations.
A change here needs a new file in `migrations/versions/` and its number in VERSION; a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

VERSION = "0001"
VERSION_TABLE = "heed_schema"

ESCAPED = "\ufdd0"  # a code point that Unicode promises never to assign


class AnyText(TypeDecorator):
    """Any Python string, unchanged.

    SQLite refuses lone surrogates and PostgreSQL also NUL; a model's output may hold both.  Such a string is kept as
    ESCAPED and the hexadecimal of its bytes; every other string is kept as it is, readable in any database tool.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if value is None:
            return None
        if "\0" not in value and not value.startswith(ESCAPED):
            try:
                value.encode()
                return value
            except UnicodeEncodeError:
                pass
        return ESCAPED + value.encode("utf-8", "surrogatepass").hex()

    def process_result_value(self, value, dialect):
        if value is None or not value.startswith(ESCAPED):
            return value
        return bytes.fromhex(value.removeprefix(ESCAPED)).decode("utf-8", "surrogatepass")


# Database-wide naming, so that a later migration can name what it changes on both databases.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
Sequence = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY counts by itself in SQLite


def one_of(column: str, *values: str) -> CheckConstraint:
    """A column that may hold only these."""
    return CheckConstraint(f"{column} IN ({', '.join(map(repr, values))})", name=column)


labelers = Table(
    "labelers",
    metadata,
    Column("id", AnyText, primary_key=True),  # the name by which judgements call them
    Column("kind", AnyText, nullable=False),
    one_of("kind", "human", "synthetic", "judge", "unknown"),
)
prompts = Table(
    "prompts",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("content", AnyText, nullable=False),  # JSON: a string, or the turns
    Column("columns", AnyText, nullable=False),  # JSON: what else the dataset says
    Column("split", AnyText, nullable=False),  # decided per prompt, never per answer
    one_of("split", "train", "valid", "test"),
)
completions = Table(
    "completions",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("prompt_id", ForeignKey(prompts.c.id), nullable=False, index=True),
    Column("text", AnyText, nullable=False),
    Column("made_by", AnyText, nullable=False),  # the checkpoint, or "human"
    Column("tokens", LargeBinary),  # little-endian int32, as they were sampled
    Column("logprob", Double),  # nats, summed over the tokens
    Column("sampling", AnyText, nullable=False),  # JSON
)
tasks = Table(
    "tasks",
    metadata,
    Column("seq", Sequence, primary_key=True),  # order of arrival
    Column("id", AnyText, nullable=False, unique=True),
    Column("kind", AnyText, nullable=False),
    Column("prompt_id", ForeignKey(prompts.c.id), nullable=False, index=True),
    Column("overlap", Integer, nullable=False),  # how many labelers should answer
    Column("open_slots", Integer, nullable=False),  # how many more may claim it
    Column("asked_at", Double, nullable=False),
    one_of("kind", "rank"),
    CheckConstraint("open_slots BETWEEN 0 AND overlap", name="open_slots"),
)
OPEN = text("open_slots > 0")  # as text, because a query finds the index only by the very same words
Index("ix_tasks_open", tasks.c.seq, sqlite_where=OPEN, postgresql_where=OPEN)
task_items = Table(
    "task_items",
    metadata,
    Column("task_id", ForeignKey(tasks.c.id), primary_key=True),
    Column("item_no", Integer, primary_key=True),
    Column("completion_id", ForeignKey(completions.c.id), nullable=False, index=True),
)
assignments = Table(
    "assignments",
    metadata,
    Column("task_id", ForeignKey(tasks.c.id), primary_key=True),
    Column("labeler_id", ForeignKey(labelers.c.id), primary_key=True),
    Column("state", AnyText, nullable=False),
    Column("lease_expires_at", Double),
    one_of("state", "leased", "submitted", "skipped", "expired"),
)
Index("ix_assignments_leased", assignments.c.state, assignments.c.lease_expires_at)
Index("ix_assignments_of_labeler", assignments.c.labeler_id, assignments.c.state)
submissions = Table(
    "submissions",
    metadata,
    Column("seq", Sequence, primary_key=True),  # order of arrival
    Column("id", AnyText, nullable=False, unique=True),
    Column("kind", AnyText, nullable=False),
    Column("task_id", ForeignKey(tasks.c.id), index=True),
    Column("labeler_id", ForeignKey(labelers.c.id), nullable=False, index=True),
    Column("outcome", AnyText, nullable=False),
    Column("supersedes_id", ForeignKey("submissions.id"), unique=True),  # the answer this one corrects
    Column("strength", Double),
    Column("seconds", Double, nullable=False),
    Column("note", AnyText, nullable=False),
    Column("answered_at", Double, nullable=False),
    one_of("kind", "rank", "rate", "demonstrate"),
    one_of("outcome", "answered", "skipped", "not_rankable"),
)
ranking_items = Table(
    "ranking_items",
    metadata,
    Column("submission_id", ForeignKey(submissions.c.id), primary_key=True),
    Column("completion_id", ForeignKey(completions.c.id), primary_key=True),
    Column("rank", Integer, nullable=False),  # dense: 1 is best, equal is tied
    Column("shown_position", Integer, nullable=False),
    CheckConstraint("rank > 0", name="rank"),
)
ratings = Table(
    "ratings",
    metadata,
    Column("submission_id", ForeignKey(submissions.c.id), primary_key=True),
    Column("dimension", AnyText, primary_key=True),
    Column("completion_id", ForeignKey(completions.c.id), nullable=False),
    Column("value", Double, nullable=False),
    Column("scale_min", Double, nullable=False),
    Column("scale_max", Double, nullable=False),
    CheckConstraint("value BETWEEN scale_min AND scale_max", name="value"),
)
demonstrations = Table(
    "demonstrations",
    metadata,
    Column("submission_id", ForeignKey(submissions.c.id), primary_key=True),
    Column("completion_id", ForeignKey(completions.c.id), nullable=False),
)
