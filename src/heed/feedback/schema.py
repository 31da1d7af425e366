"""The tables in which feedback is kept.

What was asked and answered is append-only; what may change is who is at work on what (`assignments`, `drafts`,
`tasks.open_slots`, which is derived), how the work is run (a task's status and priority, a labeler's kind, pool and pause)
and the end of a round.  The log of answers is `submissions` itself: `seq` counts in the order of commits, so that
"everything up to seq 1200" is the same set for ever (a watermark).
Answers point at completions by id, never by place, so that they cannot come to mean another text.
Portable types only (CHECK instead of ENUM): SQLite and PostgreSQL run the same migrations.
A change here needs a new file in `migrations/versions/` and its number in VERSION; a test compares the two.
Accounts and access are in `heed.feedback.schema_people`.
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
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeDecorator

VERSION = "0002"
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


def key(name: str, target: str, **more) -> Column:
    """A column that points at a row of another table."""
    return Column(name, ForeignKey(target), **{"nullable": False, **more})


def flag(name: str, **more) -> Column:
    """0 or 1, 0 unless said otherwise."""
    return Column(name, Integer, nullable=False, server_default="0", **more)


TEXT = {"nullable": False, "server_default": ""}
KINDS = ("rank", "pairwise", "rate", "demonstrate", "converse", "live_compare", "edit", "clips", "review")

labelers = Table(
    "labelers",
    metadata,
    Column("id", AnyText, primary_key=True),  # the name by which judgements call them
    Column("kind", AnyText, nullable=False),
    Column("pool", AnyText, **TEXT),  # gets tasks of this pool, and those of none
    flag("paused"),  # is given nothing new
    one_of("kind", "human", "synthetic", "judge", "unknown"),
)

# What is judged ------------------------------------------------------------------------------------------------------
prompts = Table(
    "prompts",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("content", AnyText, nullable=False),  # JSON: a string, or the turns
    Column("columns", AnyText, nullable=False),  # JSON: what else the dataset says
    Column("split", AnyText, nullable=False),  # decided per prompt, never per answer
    one_of("split", "train", "valid", "test"),
)
media = Table(
    "media",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("sha256", AnyText, nullable=False),
    Column("mime", AnyText, nullable=False),
    Column("path", AnyText, nullable=False),  # below the folder that the server serves clips from
)
completions = Table(
    "completions",
    metadata,
    Column("id", AnyText, primary_key=True),
    key("prompt_id", "prompts.id", index=True),
    Column("text", AnyText, nullable=False),
    Column("made_by", AnyText, nullable=False, index=True),  # `checkpoints.id` where that is known, or "human"
    Column("tokens", LargeBinary),  # little-endian int32, as they were sampled
    Column("logprob", Double),  # nats, summed over the tokens
    Column("sampling", AnyText, nullable=False),  # JSON
    key("media_id", "media.id", nullable=True),  # a clip instead of a text
    key("edited_from_id", "completions.id", nullable=True),
)

# Models: which judgements and which parent made them, and who is judged in which round ------------------------------
snapshots = Table(
    "snapshots",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("watermark", BigInteger, nullable=False),  # submissions.seq: everything up to and with this one
    Column("selection", AnyText, nullable=False),  # JSON: which of them (split)
    Column("answers", Integer, nullable=False),
    Column("sha256", AnyText, nullable=False),  # of the ids of its answers, which never change
    Column("made_at", Double, nullable=False),
)
rounds = Table(
    "rounds",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("opened_at", Double, nullable=False),
    Column("closed_at", Double),
    key("snapshot_id", "snapshots.id", nullable=True),  # what its training read
    Column("figures", AnyText, nullable=False),  # JSON, name -> number
)
checkpoints = Table(
    "checkpoints",
    metadata,
    Column("id", AnyText, primary_key=True),  # what completions say in `made_by`
    Column("role", AnyText, nullable=False),
    Column("path", AnyText, nullable=False),
    Column("sha256", AnyText, nullable=False),  # of the weights; "" where nobody computed it
    Column("step", Integer, nullable=False),
    key("parent_id", "checkpoints.id", nullable=True),  # what it was trained from
    key("reward_id", "checkpoints.id", nullable=True),  # the reward model that it was improved by
    key("snapshot_id", "snapshots.id", nullable=True),  # the judgements that it learnt from
    key("round_n", "rounds.n", nullable=True),  # the round that made it
    Column("made_at", Double, nullable=False),
    one_of("role", "policy", "reward", "reference", "judge"),
)
round_policies = Table(
    "round_policies",  # whose completions are judged in a round: several at once
    metadata,
    key("round_n", "rounds.n", primary_key=True),
    key("checkpoint_id", "checkpoints.id", primary_key=True),
)

# Work ----------------------------------------------------------------------------------------------------------------
instructions = Table(
    "instructions",
    metadata,
    Column("id", AnyText, primary_key=True),
    Column("kind", AnyText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", AnyText, nullable=False),  # Markdown
    Column("form", AnyText, nullable=False),  # JSON: scales, flags and reasons, see `heed.feedback.forms`
    Column("made_by", AnyText, nullable=False),
    Column("made_at", Double, nullable=False),
    one_of("kind", *KINDS),
    UniqueConstraint("kind", "version"),
)
acknowledgements = Table(
    "acknowledgements",  # who has read which version
    metadata,
    key("labeler_id", "labelers.id", primary_key=True),
    key("instructions_id", "instructions.id", primary_key=True),
    Column("at", Double, nullable=False),
)
tasks = Table(
    "tasks",
    metadata,
    Column("seq", Sequence, primary_key=True),  # order of arrival; the number that a labeler's browser sees
    Column("id", AnyText, nullable=False, unique=True),
    Column("kind", AnyText, nullable=False),
    key("prompt_id", "prompts.id", index=True),
    Column("overlap", Integer, nullable=False),  # how many labelers should answer
    Column("open_slots", Integer, nullable=False),  # how many more may claim it
    Column("asked_at", Double, nullable=False),
    Column("mode", AnyText, **TEXT),  # of a live comparison and of its turns
    Column("priority", Double, nullable=False, server_default="0"),  # the greatest first
    Column("lease_seconds", Double),  # None: what is usual for its kind
    Column("pool", AnyText, **TEXT),  # "" is for everybody
    Column("status", AnyText, nullable=False, server_default="open"),
    flag("gold"),  # has a row in `gold`
    key("instructions_id", "instructions.id", nullable=True),  # None: the newest of its kind when it is claimed
    key("round_n", "rounds.n", nullable=True, index=True),
    key("parent_id", "tasks.id", nullable=True, index=True),  # the conversation of a turn; the task under review
    one_of("kind", *KINDS),
    one_of("mode", "", "helpful", "red_team"),
    one_of("status", "open", "paused", "cancelled", "private"),  # private: only for whom it was made
    CheckConstraint("open_slots BETWEEN 0 AND overlap", name="open_slots"),
)
OPEN = text("open_slots > 0 AND status = 'open'")  # as text, because a query finds the index only by the very same words
Index("ix_tasks_open", tasks.c.kind, tasks.c.pool, tasks.c.gold, tasks.c.priority.desc(), tasks.c.seq,
      sqlite_where=OPEN, postgresql_where=OPEN)  # fmt: skip
task_items = Table(
    "task_items",
    metadata,
    key("task_id", "tasks.id", primary_key=True),
    Column("item_no", Integer, primary_key=True),
    key("completion_id", "completions.id", index=True),
)
gold = Table(
    "gold",
    metadata,
    key("task_id", "tasks.id", primary_key=True),
    Column("expected", AnyText, nullable=False),  # JSON, see `heed.feedback.gold`
    Column("note", AnyText, nullable=False),  # why, for the labeler who got it wrong
    Column("since", BigInteger, nullable=False),  # a watermark: whatever is read beyond it has none of its answers
    Column("made_by", AnyText, nullable=False),
    Column("made_at", Double, nullable=False),
)
assignments = Table(
    "assignments",
    metadata,
    key("task_id", "tasks.id", primary_key=True),
    key("labeler_id", "labelers.id", primary_key=True),
    Column("state", AnyText, nullable=False),
    Column("lease_expires_at", Double),
    Column("shown", AnyText),  # JSON: item_no in the order on this labeler's screen; it never changes again
    Column("leased_at", Double),
    key("instructions_id", "instructions.id", nullable=True),  # what they were shown
    one_of("state", "leased", "submitted", "skipped", "expired"),
)
LEASED = text("state = 'leased'")
Index("ix_assignments_leased", assignments.c.lease_expires_at, sqlite_where=LEASED, postgresql_where=LEASED)
Index("ix_assignments_of_labeler", assignments.c.labeler_id, assignments.c.state)
drafts = Table(
    "drafts",
    metadata,
    key("task_id", "tasks.id", primary_key=True),
    key("labeler_id", "labelers.id", primary_key=True),
    Column("body", AnyText, nullable=False),  # JSON, whatever the page put there
    Column("rev", BigInteger, nullable=False),  # the page's count; an older one never replaces a newer one
    Column("saved_at", Double, nullable=False),
)
messages = Table(
    "messages",  # the conversation that a labeler has in a task: a tree, as what was said may be said again
    metadata,
    Column("seq", Sequence, primary_key=True),
    Column("id", AnyText, nullable=False, unique=True),
    key("task_id", "tasks.id", index=True),
    key("labeler_id", "labelers.id"),
    key("parent_id", "messages.id", nullable=True, index=True),
    Column("role", AnyText, nullable=False),
    Column("content", AnyText),  # None where a completion was said
    key("completion_id", "completions.id", nullable=True),
    key("suggestion_id", "completions.id", nullable=True),  # the model's suggestion that was used, edited or not
    key("turn_id", "tasks.id", nullable=True, index=True),  # the comparison in which this reply stands
    Column("said_at", Double, nullable=False),
    one_of("role", "user", "assistant"),
)

# Answers -------------------------------------------------------------------------------------------------------------
submissions = Table(
    "submissions",
    metadata,
    Column("seq", Sequence, primary_key=True),  # order of arrival
    Column("id", AnyText, nullable=False, unique=True),  # made by whoever answers: sending it twice is harmless
    Column("kind", AnyText, nullable=False),
    key("task_id", "tasks.id", nullable=True, index=True),
    key("labeler_id", "labelers.id"),
    Column("outcome", AnyText, nullable=False),
    key("supersedes_id", "submissions.id", nullable=True, unique=True),  # the answer this one corrects
    Column("strength", Double),
    Column("seconds", Double, nullable=False),
    Column("note", AnyText, nullable=False),
    Column("answered_at", Double, nullable=False),
    flag("late"),  # its place had been given to somebody else
    Column("reason", AnyText, **TEXT),  # why it was skipped, not rankable or taken back
    key("instructions_id", "instructions.id", nullable=True),
    Column("opened_at", Double),
    Column("raw", LargeBinary),  # the very bytes that were received
    Column("raw_sha256", AnyText),
    one_of("kind", *KINDS),
    one_of("outcome", "answered", "skipped", "not_rankable"),
)
Index("ix_submissions_of_labeler", submissions.c.labeler_id, submissions.c.seq)
Index("ix_submissions_by_day", submissions.c.labeler_id, submissions.c.answered_at)
FIRST = text("supersedes_id IS NULL")
Index("ix_submissions_first", submissions.c.task_id, submissions.c.labeler_id, unique=True,
      sqlite_where=FIRST, postgresql_where=FIRST)  # fmt: skip
ranking_items = Table(
    "ranking_items",
    metadata,
    key("submission_id", "submissions.id", primary_key=True),
    key("completion_id", "completions.id", primary_key=True),
    Column("rank", Integer, nullable=False),  # dense: 1 is the better answer, equal is tied
    Column("shown_position", Integer, nullable=False),
    CheckConstraint("rank > 0", name="rank"),
)
preferences = Table(
    "preferences",  # what was pressed where two were compared; the same answer stands in ranking_items
    metadata,
    key("submission_id", "submissions.id", primary_key=True),
    key("a_completion_id", "completions.id"),  # shown as A
    key("b_completion_id", "completions.id"),
    Column("preference", Integer, nullable=False),  # -points .. points: below 0 for A, 0 a tie, above for B
    flag("both_bad"),
    Column("points", Integer, nullable=False),
    CheckConstraint("preference BETWEEN -points AND points", name="preference"),
)
ratings = Table(
    "ratings",
    metadata,
    key("submission_id", "submissions.id", primary_key=True),
    key("completion_id", "completions.id", primary_key=True),
    Column("dimension", AnyText, primary_key=True),
    Column("value", Double, nullable=False),
    Column("scale_min", Double, nullable=False),
    Column("scale_max", Double, nullable=False),
    CheckConstraint("value BETWEEN scale_min AND scale_max", name="value"),
)
flags = Table(
    "flags",
    metadata,
    key("submission_id", "submissions.id", primary_key=True),
    key("completion_id", "completions.id", primary_key=True),
    Column("flag", AnyText, primary_key=True),
    Column("value", Integer, nullable=False),  # 1 yes, 0 no; a flag that nobody looked at has no row
)
demonstrations = Table(
    "demonstrations",
    metadata,
    key("submission_id", "submissions.id", primary_key=True),
    key("completion_id", "completions.id", primary_key=True),  # a conversation shows several
)
reviews = Table(
    "reviews",
    metadata,
    key("submission_id", "submissions.id", primary_key=True),
    Column("verdict", AnyText, nullable=False),
    one_of("verdict", "resolved", "ambiguous", "broken"),
)
