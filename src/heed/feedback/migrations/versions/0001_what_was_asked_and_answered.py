"""Prompts, completions, comparisons, who is asked, and what they answered."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    what_is_judged()
    work()
    answers()


def one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{column} IN ({', '.join(map(repr, values))})", name=op.f(f"ck_{table}_{column}"))


def key(table: str, column: str, target: str, **kw) -> sa.Column:
    foreign = sa.ForeignKey(target, name=op.f(f"fk_{table}_{column}"))
    return sa.Column(column, sa.Text, foreign, **{"nullable": False, **kw})


def table(name: str, *parts, primary: tuple[str, ...]) -> None:
    op.create_table(name, *parts, sa.PrimaryKeyConstraint(*primary, name=op.f(f"pk_{name}")))


def index(name: str, column: str) -> None:
    op.create_index(op.f(f"ix_{name}_{column}"), name, [column])


def what_is_judged() -> None:
    table(
        "labelers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        one_of("labelers", "kind", "human", "synthetic", "judge", "unknown"),
        primary=("id",),
    )
    table(
        "prompts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
        sa.Column("split", sa.Text, nullable=False),
        one_of("prompts", "split", "train", "valid", "test"),
        primary=("id",),
    )
    table(
        "completions",
        sa.Column("id", sa.Text, nullable=False),
        key("completions", "prompt_id", "prompts.id"),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("tokens", sa.LargeBinary),
        sa.Column("logprob", sa.Double),
        sa.Column("sampling", sa.Text, nullable=False),
        primary=("id",),
    )
    index("completions", "prompt_id")


def work() -> None:
    table(
        "tasks",
        sa.Column("seq", SEQUENCE, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        key("tasks", "prompt_id", "prompts.id"),
        sa.Column("overlap", sa.Integer, nullable=False),
        sa.Column("open_slots", sa.Integer, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        one_of("tasks", "kind", "rank"),
        sa.CheckConstraint("open_slots BETWEEN 0 AND overlap", name=op.f("ck_tasks_open_slots")),
        sa.UniqueConstraint("id", name=op.f("uq_tasks_id")),
        primary=("seq",),
    )
    index("tasks", "prompt_id")
    is_open = sa.text("open_slots > 0")
    op.create_index("ix_tasks_open", "tasks", ["seq"], sqlite_where=is_open, postgresql_where=is_open)
    table(
        "task_items",
        key("task_items", "task_id", "tasks.id"),
        sa.Column("item_no", sa.Integer, nullable=False),
        key("task_items", "completion_id", "completions.id"),
        primary=("task_id", "item_no"),
    )
    index("task_items", "completion_id")
    table(
        "assignments",
        key("assignments", "task_id", "tasks.id"),
        key("assignments", "labeler_id", "labelers.id"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("lease_expires_at", sa.Double),
        one_of("assignments", "state", "leased", "submitted", "skipped", "expired"),
        primary=("task_id", "labeler_id"),
    )
    op.create_index("ix_assignments_leased", "assignments", ["state", "lease_expires_at"])
    op.create_index("ix_assignments_of_labeler", "assignments", ["labeler_id", "state"])


def answers() -> None:
    table(
        "submissions",
        sa.Column("seq", SEQUENCE, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        key("submissions", "task_id", "tasks.id", nullable=True),
        key("submissions", "labeler_id", "labelers.id"),
        sa.Column("outcome", sa.Text, nullable=False),
        key("submissions", "supersedes_id", "submissions.id", nullable=True),
        sa.Column("strength", sa.Double),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("answered_at", sa.Double, nullable=False),
        one_of("submissions", "kind", "rank", "rate", "demonstrate"),
        one_of("submissions", "outcome", "answered", "skipped", "not_rankable"),
        sa.UniqueConstraint("id", name=op.f("uq_submissions_id")),
        sa.UniqueConstraint("supersedes_id", name=op.f("uq_submissions_supersedes_id")),
        primary=("seq",),
    )
    index("submissions", "task_id")
    index("submissions", "labeler_id")
    table(
        "ranking_items",
        key("ranking_items", "submission_id", "submissions.id"),
        key("ranking_items", "completion_id", "completions.id"),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("shown_position", sa.Integer, nullable=False),
        sa.CheckConstraint("rank > 0", name=op.f("ck_ranking_items_rank")),
        primary=("submission_id", "completion_id"),
    )
    table(
        "ratings",
        key("ratings", "submission_id", "submissions.id"),
        sa.Column("dimension", sa.Text, nullable=False),
        key("ratings", "completion_id", "completions.id"),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("scale_min", sa.Double, nullable=False),
        sa.Column("scale_max", sa.Double, nullable=False),
        sa.CheckConstraint("value BETWEEN scale_min AND scale_max", name=op.f("ck_ratings_value")),
        primary=("submission_id", "dimension"),
    )
    table(
        "demonstrations",
        key("demonstrations", "submission_id", "submissions.id"),
        key("demonstrations", "completion_id", "completions.id"),
        primary=("submission_id",),
    )
