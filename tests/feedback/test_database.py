"""Opening a store: what is made, what is refused, and that what is refused stays as it was."""

import sqlite3
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa

from heed.errors import RunError, UserError
from heed.feedback import schema
from heed.feedback.store import open_store
from heed.testing.store import answer, question


def test_the_migrations_make_the_tables_of_the_schema(tmp_path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    store = open_store(tmp_path / "x.db")
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert context.get_current_revision() == schema.VERSION
        assert compare_metadata(context, schema.metadata) == []
        inspector = sa.inspect(connection)
        for table in schema.metadata.tables.values():  # alembic compares neither checks nor, on SQLite, partial indexes
            checks = {c["name"]: c["sqltext"] for c in inspector.get_check_constraints(table.name)}
            wanted = [c for c in table.constraints if isinstance(c, sa.CheckConstraint)]
            assert checks == {connection.dialect.identifier_preparer.format_constraint(c): str(c.sqltext) for c in wanted}
            partial = {i["name"]: str(i["dialect_options"].get("sqlite_where")) for i in inspector.get_indexes(table.name)}
            assert partial == {i.name: str(i.dialect_options["sqlite"]["where"]) for i in table.indexes}


def test_writers_are_durable_and_readers_cannot_write(tmp_path):
    database = open_store(tmp_path / "x.db").database
    with database.writing() as db:
        assert [db.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")] \
            == ["wal", 2, 1]  # fmt: skip
    with pytest.raises(RunError, match="readonly"), database.reading() as db:
        db.execute(sa.insert(schema.labelers).values(id="x", kind="human"))


def test_paths_and_urls_are_the_same_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_store("deep/er/x.db").add([question(1)])
    assert open_store("sqlite:///deep/er/x.db", create=False).comparisons() == [question(1)]
    assert open_store(f"sqlite:///{tmp_path}/deep/er/x.db", create=False).comparisons() == [question(1)]


def test_an_empty_file_becomes_a_store(tmp_path):
    """It is what a process leaves that was killed before its first write."""
    (tmp_path / "x.db").touch()
    open_store(tmp_path / "x.db").add([question(1)])


def foreign(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE tasks (id TEXT)")
    db.close()


def newer(path):
    open_store(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    db.close()


def damaged(path):
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 16)


@pytest.mark.parametrize(("make", "message"), [
    (lambda path: path.write_text("dear diary"), "not an SQLite database"),
    (lambda path: path.write_bytes(b"SQLite"), "not an SQLite database"),
    (foreign, "something else.*'tasks'"),
    (newer, "newer heed .schema 9999, this one knows 0002"),
    (damaged, "cannot open the store"),
], ids=["text", "short", "foreign", "newer", "damaged"])  # fmt: skip
def test_what_is_no_store_is_refused_and_untouched(tmp_path, make, message):
    path = tmp_path / "x.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(UserError, match=message):
        open_store(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("address", "message"), [
    ("mysql://me@host/x", "'mysql'.*postgresql, sqlite"),
    ("postgrse://me@host/x", "did you mean 'postgresql'"),
    ("sqlite://", "needs a file"),
    (":memory:", "needs a file"),
    ("http:// not an address", "no URL|'http'"),
    (".", "is a folder"),
    ("missing.db", "no store at"),
])  # fmt: skip
def test_wrong_addresses_are_named(tmp_path, monkeypatch, address, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        open_store(address, create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_in_no_message():
    with pytest.raises(UserError) as error:
        open_store("postgresql://me:hunter2@127.0.0.1:1/x?connect_timeout=1")
    assert "hunter2" not in str(error.value)


def test_many_may_open_a_new_store_at_once(tmp_path):
    faults, start = [], threading.Barrier(8)

    def work(i):
        start.wait()
        try:
            open_store(tmp_path / "x.db").add([question(i)])
        except BaseException as error:
            faults.append(error)

    crowd = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert not faults
    assert len(open_store(tmp_path / "x.db").comparisons()) == 8


def test_killed_while_migrating_leaves_nothing_half_made(tmp_path):
    """kill -9 after the third table: the next one finds an empty database and makes a whole store."""
    code = """
import os, signal, sys
import sqlalchemy as sa
from heed.feedback.store import open_store
made = []
@sa.event.listens_for(sa.engine.Engine, "before_cursor_execute")
def count(connection, cursor, statement, *rest):
    made.append("CREATE TABLE" in statement)
    if sum(made) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
open_store(sys.argv[1])
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.db")])
    assert killed.returncode == -9
    store = open_store(tmp_path / "x.db")
    store.add([question(1), answer(question(1))])
    assert len(store.rankings()) == 1


def test_a_full_disk_is_a_message(tmp_path):
    store = open_store(tmp_path / "x.db")
    with store.database.writer.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # the nearest thing to a full disk
    with pytest.raises(RunError, match="full"):
        store.add([question(i, 9) for i in range(300)])
    assert store.comparisons() == []
