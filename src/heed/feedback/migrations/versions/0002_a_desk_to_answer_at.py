"""Every kind of task, instructions, gold, drafts, conversations; models and rounds; accounts."""

import sqlalchemy as sa
from alembic import op

from heed.feedback.migrations.parts import (
    SEQUENCE,
    alter,
    check,
    count,
    flag,
    index,
    key,
    number,
    one_of,
    partial_index,
    table,
    text,
    unique,
)

revision = "0002"
down_revision = "0001"

KINDS = ("rank", "pairwise", "rate", "demonstrate", "converse", "live_compare", "edit", "clips", "review")
ROLES = ("labeler", "reviewer", "manager", "admin")


def upgrade() -> None:
    models()
    what_is_judged()
    tasks()
    work()
    submissions()
    answers()
    accounts()
    traces()


def round_n(name: str, **more) -> sa.Column:
    foreign = sa.ForeignKey("rounds.n", name=op.f(f"fk_{name}_round_n"))
    return sa.Column("round_n", sa.Integer, foreign, **more)


def models() -> None:
    table("media", text("id"), text("sha256"), text("mime"), text("path"), primary=("id",))
    table(
        "snapshots",
        text("id"),
        sa.Column("watermark", sa.BigInteger, nullable=False),
        text("selection"),
        count("answers"),
        text("sha256"),
        number("made_at"),
        primary=("id",),
    )
    table(
        "rounds",
        sa.Column("n", sa.Integer, nullable=False, autoincrement=False),
        number("opened_at"),
        number("closed_at", nullable=True),
        key("rounds", "snapshot_id", "snapshots.id", nullable=True),
        text("figures"),
        primary=("n",),
    )
    table(
        "checkpoints",
        text("id"),
        text("role"),
        text("path"),
        text("sha256"),
        count("step"),
        key("checkpoints", "parent_id", "checkpoints.id", nullable=True),
        key("checkpoints", "reward_id", "checkpoints.id", nullable=True),
        key("checkpoints", "snapshot_id", "snapshots.id", nullable=True),
        round_n("checkpoints"),
        number("made_at"),
        one_of("checkpoints", "role", "policy", "reward", "reference", "judge"),
        primary=("id",),
    )
    table(
        "round_policies",
        round_n("round_policies", nullable=False),
        key("round_policies", "checkpoint_id", "checkpoints.id"),
        primary=("round_n", "checkpoint_id"),
    )


def what_is_judged() -> None:
    op.add_column("labelers", text("pool", server_default=""))
    op.add_column("labelers", flag("paused"))
    alter(
        "completions",
        add=(
            key("completions", "media_id", "media.id", nullable=True),
            key("completions", "edited_from_id", "completions.id", nullable=True),
        ),
    )
    index("completions", "made_by")


def tasks() -> None:
    table(
        "instructions",
        text("id"),
        text("kind"),
        count("version"),
        text("body"),
        text("form"),
        text("made_by"),
        number("made_at"),
        one_of("instructions", "kind", *KINDS),
        unique("instructions", "kind", "version"),
        primary=("id",),
    )
    op.drop_index("ix_tasks_open", "tasks")
    alter(
        "tasks",
        add=(
            text("mode", server_default=""),
            number("priority", server_default="0"),
            number("lease_seconds", nullable=True),
            text("pool", server_default=""),
            text("status", server_default="open"),
            flag("gold"),
            key("tasks", "instructions_id", "instructions.id", nullable=True),
            round_n("tasks"),
            key("tasks", "parent_id", "tasks.id", nullable=True),
        ),
        checks=(
            one_of("tasks", "kind", *KINDS),
            one_of("tasks", "mode", "", "helpful", "red_team"),
            one_of("tasks", "status", "open", "paused", "cancelled", "private"),
            check("tasks", "open_slots", "open_slots BETWEEN 0 AND overlap"),
        ),
        changed=("ck_tasks_kind",),
    )
    index("tasks", "round_n")
    index("tasks", "parent_id")
    order = ["kind", "pool", "gold", sa.text("priority DESC"), "seq"]
    partial_index("ix_tasks_open", "tasks", order, "open_slots > 0 AND status = 'open'")


def work() -> None:
    table(
        "acknowledgements",
        key("acknowledgements", "labeler_id", "labelers.id"),
        key("acknowledgements", "instructions_id", "instructions.id"),
        number("at"),
        primary=("labeler_id", "instructions_id"),
    )
    table(
        "gold",
        key("gold", "task_id", "tasks.id"),
        text("expected"),
        text("note"),
        sa.Column("since", sa.BigInteger, nullable=False),
        text("made_by"),
        number("made_at"),
        primary=("task_id",),
    )
    op.drop_index("ix_assignments_leased", "assignments")
    alter(
        "assignments",
        add=(
            text("shown", nullable=True),
            number("leased_at", nullable=True),
            key("assignments", "instructions_id", "instructions.id", nullable=True),
        ),
        checks=(one_of("assignments", "state", "leased", "submitted", "skipped", "expired"),),
    )
    partial_index("ix_assignments_leased", "assignments", ["lease_expires_at"], "state = 'leased'")
    table(
        "drafts",
        key("drafts", "task_id", "tasks.id"),
        key("drafts", "labeler_id", "labelers.id"),
        text("body"),
        sa.Column("rev", sa.BigInteger, nullable=False),
        number("saved_at"),
        primary=("task_id", "labeler_id"),
    )
    table(
        "messages",
        sa.Column("seq", SEQUENCE, nullable=False),
        text("id"),
        key("messages", "task_id", "tasks.id"),
        key("messages", "labeler_id", "labelers.id"),
        key("messages", "parent_id", "messages.id", nullable=True),
        text("role"),
        text("content", nullable=True),
        key("messages", "completion_id", "completions.id", nullable=True),
        key("messages", "suggestion_id", "completions.id", nullable=True),
        key("messages", "turn_id", "tasks.id", nullable=True),
        number("said_at"),
        one_of("messages", "role", "user", "assistant"),
        unique("messages", "id"),
        primary=("seq",),
    )
    for column in ("task_id", "parent_id", "turn_id"):
        index("messages", column)


def submissions() -> None:
    alter(
        "submissions",
        add=(
            flag("late"),
            text("reason", server_default=""),
            key("submissions", "instructions_id", "instructions.id", nullable=True),
            number("opened_at", nullable=True),
            sa.Column("raw", sa.LargeBinary),
            text("raw_sha256", nullable=True),
        ),
        checks=(
            one_of("submissions", "kind", *KINDS),
            one_of("submissions", "outcome", "answered", "skipped", "not_rankable"),
        ),
        changed=("ck_submissions_kind",),
    )
    op.drop_index("ix_submissions_labeler_id", "submissions")
    op.create_index("ix_submissions_of_labeler", "submissions", ["labeler_id", "seq"])
    op.create_index("ix_submissions_by_day", "submissions", ["labeler_id", "answered_at"])
    first = "supersedes_id IS NULL"
    partial_index("ix_submissions_first", "submissions", ["task_id", "labeler_id"], first, unique=True)


def answers() -> None:
    on_scale = check("ratings", "value", "value BETWEEN scale_min AND scale_max")
    alter("ratings", checks=(on_scale,), primary=("submission_id", "completion_id", "dimension"))
    alter("demonstrations", primary=("submission_id", "completion_id"))
    table(
        "preferences",
        key("preferences", "submission_id", "submissions.id"),
        key("preferences", "a_completion_id", "completions.id"),
        key("preferences", "b_completion_id", "completions.id"),
        count("preference"),
        flag("both_bad"),
        count("points"),
        check("preferences", "preference", "preference BETWEEN -points AND points"),
        primary=("submission_id",),
    )
    table(
        "flags",
        key("flags", "submission_id", "submissions.id"),
        key("flags", "completion_id", "completions.id"),
        text("flag"),
        count("value"),
        primary=("submission_id", "completion_id", "flag"),
    )
    table(
        "reviews",
        key("reviews", "submission_id", "submissions.id"),
        text("verdict"),
        one_of("reviews", "verdict", "resolved", "ambiguous", "broken"),
        primary=("submission_id",),
    )


def accounts() -> None:
    table(
        "users",
        key("users", "labeler_id", "labelers.id"),
        text("password"),
        text("role"),
        number("made_at"),
        number("disabled_at", nullable=True),
        one_of("users", "role", *ROLES),
        primary=("labeler_id",),
    )
    table(
        "invites",
        text("id"),
        text("token_sha256"),
        text("role"),
        text("pool"),
        count("uses"),
        count("used"),
        text("made_by"),
        number("made_at"),
        number("expires_at"),
        number("revoked_at", nullable=True),
        one_of("invites", "role", *ROLES),
        unique("invites", "token_sha256"),
        primary=("id",),
    )
    table(
        "web_sessions",
        text("token_sha256"),
        key("web_sessions", "labeler_id", "users.labeler_id"),
        number("made_at"),
        number("seen_at"),
        number("expires_at"),
        number("revoked_at", nullable=True),
        primary=("token_sha256",),
    )
    index("web_sessions", "labeler_id")
    table(
        "api_tokens",
        text("id"),
        text("name"),
        text("token_sha256"),
        key("api_tokens", "labeler_id", "users.labeler_id"),
        number("made_at"),
        number("expires_at"),
        number("used_at", nullable=True),
        number("revoked_at", nullable=True),
        unique("api_tokens", "token_sha256"),
        primary=("id",),
    )
    index("api_tokens", "labeler_id")


def traces() -> None:
    table(
        "logins",
        sa.Column("seq", SEQUENCE, nullable=False),
        text("name"),
        text("source"),
        flag("ok"),
        number("at"),
        primary=("seq",),
    )
    op.create_index("ix_logins_name", "logins", ["name", "at"])
    op.create_index("ix_logins_source", "logins", ["source", "at"])
    table(
        "screenings",
        sa.Column("seq", SEQUENCE, nullable=False),
        key("screenings", "labeler_id", "labelers.id"),
        number("score"),
        count("asked"),
        flag("passed"),
        number("at"),
        primary=("seq",),
    )
    index("screenings", "labeler_id")
    table(
        "audit_log",
        sa.Column("seq", SEQUENCE, nullable=False),
        number("at"),
        text("actor"),
        text("action"),
        text("target", server_default=""),
        text("detail"),
        primary=("seq",),
    )
