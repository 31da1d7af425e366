"""A store of an earlier heed opens as one of today, with everything that was in it."""

import json
import sqlite3

import pytest
import sqlalchemy as sa

from heed.errors import UserError
from heed.feedback import database as opening
from heed.feedback import schema
from heed.feedback.database import Database
from heed.feedback.desk import Desk
from heed.feedback.schema_people import metadata
from heed.feedback.store import open_store

# What heed wrote with schema 0001: three questions, one answered twice and once skipped, a rating, a demonstration.
OLD = {
    "labelers": [{"id": "ann", "kind": "human"}, {"id": "bob", "kind": "unknown"}],
    "prompts": [{"id": f"p{i}", "content": json.dumps(f"prompt {i}"), "columns": "{}", "split": "train"} for i in range(3)],
    "completions": [{"id": f"c{i}.{k}", "prompt_id": f"p{i}", "text": f"{k} to {i}", "made_by": "step-1", "tokens": b"\1\0\0\0",
                     "logprob": -1.5, "sampling": "{}"} for i in range(3) for k in range(2)],
    "tasks": [{"seq": i + 1, "id": f"q{i}", "kind": "rank", "prompt_id": f"p{i}", "overlap": 2, "open_slots": [1, 2, 2][i],
               "asked_at": float(i)} for i in range(3)],
    "task_items": [{"task_id": f"q{i}", "item_no": k, "completion_id": f"c{i}.{k}"} for i in range(3) for k in range(2)],
    "assignments": [{"task_id": "q0", "labeler_id": "ann", "state": "submitted", "lease_expires_at": None},
                    {"task_id": "q1", "labeler_id": "ann", "state": "skipped", "lease_expires_at": None}],
    "submissions": [
        {"seq": n, "id": id, "kind": kind, "task_id": task, "labeler_id": "ann", "outcome": outcome, "supersedes_id": old,
         "strength": None, "seconds": 2.0, "note": "", "answered_at": float(n)}
        for n, id, kind, task, outcome, old in [
            (1, "s1", "rank", "q0", "answered", None), (2, "s2", "rank", "q0", "answered", "s1"),
            (3, "s3", "rank", "q1", "skipped", None), (4, "r1", "rate", None, "answered", None),
            (5, "d1", "demonstrate", None, "answered", None)]],
    "ranking_items": [{"submission_id": s, "completion_id": f"c0.{k}", "rank": rank, "shown_position": k}
                      for s, ranks in (("s1", (1, 2)), ("s2", (2, 1))) for k, rank in enumerate(ranks)],
    "ratings": [{"submission_id": "r1", "dimension": d, "completion_id": "c2.0", "value": v, "scale_min": 1.0, "scale_max": 7.0}
                for d, v in (("overall", 5.0), ("kind", 2.0))],
    "demonstrations": [{"submission_id": "d1", "completion_id": "c2.1"}],
}  # fmt: skip


def old_store(address):
    """A database as heed 0.1 left it."""
    from alembic import command

    database = Database(opening._address(address))
    with database.migrating() as connection:
        config = opening._alembic(connection)
        command.upgrade(config, "0001")
        tables = sa.MetaData()
        tables.reflect(connection)
        for name, rows in OLD.items():
            if "seq" in rows[0]:  # as they were counted: PostgreSQL counts on only from what it counted itself
                rows = [{column: value for column, value in row.items() if column != "seq"} for row in rows]
            for row in rows:
                connection.execute(sa.insert(tables.tables[name]), row)
    database.close()


@pytest.fixture
def migrated(address):
    old_store(address)
    with open_store(address) as store:
        yield store


def test_everything_is_still_there(migrated):
    store = migrated
    assert [j.id for j in store.judgements()] == ["s1", "s2", "s3"]
    assert [(r.judgement.id, r.ranks, r.completions) for r in store.rankings()] == [("s2", (2, 1), ("0 to 0", "1 to 0"))]
    assert [c.id for c in store.comparisons()] == ["q0", "q1", "q2"]
    assert [c.id for c in store.comparisons(judged=False)] == ["q1", "q2"]
    assert store.comparisons()[0].candidates[0].tokens == (1,) and store.comparisons()[0].candidates[0].logprob == -1.5
    assert [r.scores for r in store.ratings()] == [{"overall": 5.0, "kind": 2.0}]
    assert [(d.completion, d.author) for d in store.demonstrations()] == [("1 to 2", "ann")]
    assert store.labelers() == {"ann": "human", "bob": "unknown"} and store.watermark() == 5


def test_work_goes_on(migrated):
    desk = Desk(migrated)
    assert migrated.claim("ann").id == "q2", "what they answered and skipped does not come back"
    shown = desk.claim("bob")
    assert shown.task == 1 and len(shown.items) == 2
    receipt = desk.submit("bob", 1, "new-answer", {"ranks": {"A": 1, "B": 1}})
    assert receipt.seq == 6, "the count goes on where it was"


def test_an_old_schema_becomes_the_one_of_today(migrated):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with migrated.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert context.get_current_revision() == schema.VERSION
        assert compare_metadata(context, metadata) == []
        inspector = sa.inspect(connection)
        for table in metadata.tables.values():  # which alembic does not compare
            checks = {c["name"] for c in inspector.get_check_constraints(table.name)}
            assert checks == {connection.dialect.identifier_preparer.format_constraint(c) for c in table.constraints
                              if isinstance(c, sa.CheckConstraint)}  # fmt: skip


def test_a_damaged_store_is_not_migrated(tmp_path):
    """An answer that points at nothing is found before anything is changed for good."""
    old_store(tmp_path / "x.db")
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("DELETE FROM completions WHERE id = 'c0.0'")
    db.close()
    before = sorted(sqlite3.connect(tmp_path / "x.db").execute("SELECT name FROM sqlite_master"))
    with pytest.raises(UserError, match="points at nothing in 'completions'"):
        open_store(tmp_path / "x.db")
    assert sorted(sqlite3.connect(tmp_path / "x.db").execute("SELECT name FROM sqlite_master")) == before
