"""Writers that share a commit: in order, each whole or not at all, and nobody returns before all of it is on disk."""

import sqlite3
import threading

import pytest
import sqlalchemy as sa

from heed.errors import RunError, UserError
from heed.feedback.database import only_server, open_database
from heed.feedback.group import Turns
from heed.feedback.schema import labelers


@pytest.fixture
def database(tmp_path):
    database = open_database(tmp_path / "x.db")
    yield database
    database.close()


@pytest.fixture
def shared(address):
    """On SQLite and on PostgreSQL."""
    database = open_database(address)
    yield database
    database.close()


def add(db, name):
    db.execute(sa.insert(labelers), {"id": name, "kind": "human"})


def names(database):
    with database.reading() as db:
        return set(db.scalars(sa.select(labelers.c.id)))


class Crowd:
    """Threads that begin to write while the first still does: they are one group."""

    def __init__(self, database, works):
        self.database, self.said = database, {}
        self.threads = [threading.Thread(target=self.write, args=(i, work)) for i, work in enumerate(works)]

    def write(self, i, work):
        try:
            with self.database.writing() as db:
                self.said[i] = work(db)
        except BaseException as fault:
            self.said[i] = fault

    def run(self):
        with self.database.writing() as db:
            for thread in self.threads:
                thread.start()
            while self.database._writers.turns.waiting < len(self.threads):
                pass
            add(db, "first")
        for thread in self.threads:
            thread.join()
        return self.said


def commits(database):
    seen = []
    sa.event.listen(database.writer, "commit", lambda connection: seen.append(1))
    return seen


def test_a_crowd_shares_a_commit(shared):
    seen = commits(shared)
    Crowd(shared, [lambda db, i=i: add(db, f"p{i}") for i in range(10)]).run()
    assert names(shared) == {"first", *(f"p{i}" for i in range(10))}
    assert len(seen) <= 3, "one, or a few where the machine was slow"


def test_who_fails_undoes_only_their_own(shared):
    def fail(db):
        add(db, "half")
        raise UserError("no")

    def clash(db):
        add(db, "half")
        add(db, "first")

    said = Crowd(shared, [lambda db: add(db, "a"), fail, lambda db: add(db, "b"), clash, lambda db: add(db, "c")]).run()
    assert names(shared) == {"first", "a", "b", "c"}
    assert [type(said[i]).__name__ for i in range(5)] == ["NoneType", "UserError", "NoneType", "IntegrityError", "NoneType"]


def test_a_failure_alone_leaves_nothing_open(shared):
    for _ in range(3):
        with pytest.raises(UserError), shared.writing() as db:
            add(db, "half")
            raise UserError("no")
    with shared.writing() as db:
        add(db, "whole")
    assert names(shared) == {"whole"}


def test_where_the_disk_is_full_nobody_is_told_that_it_worked(database):
    """SQLite then undoes the whole transaction, also what others of the group had written."""
    with database.writer.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 2}")
    said = {}
    big = Crowd(database, [lambda db: add(db, "small"), lambda db: add(db, "x" * 100_000), lambda db: add(db, "later")])
    try:
        said = big.run()
    except RunError as fault:
        said[-1] = fault
    for thread in big.threads:
        thread.join()
    kept = names(database)
    told = {name for i, name in enumerate(["small", "x" * 100_000, "later"]) if big.said[i] is None}
    assert isinstance(big.said[1], RunError) and "full" in str(big.said[1])
    assert told <= kept and ("first" in kept) == (-1 not in said), "who was told so is there, and nobody else"
    assert kept - {"first"} == told


def test_many_threads_many_times(shared):
    def work(i):
        for n in range(20):
            try:
                with shared.writing() as db:
                    add(db, f"{i}.{n}")
                    if n % 5 == 4:
                        raise UserError("no")
                assert f"{i}.{n}" in names(shared), "on return it is there for everybody"
            except UserError:
                pass

    crowd = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert names(shared) == {f"{i}.{n}" for i in range(8) for n in range(20) if n % 5 != 4}


def test_two_servers_share_the_order(address):
    """On PostgreSQL each has its own groups, and one lock for all: numbers go up in the order of the commits."""
    one, two = open_database(address), open_database(address)
    seen = []

    def work(database, name):
        for n in range(15):
            with database.writing() as db:
                seen.append((name, n))
                add(db, f"{name}.{n}")

    threads = [threading.Thread(target=work, args=(d, f"{k}.{i}")) for k, d in enumerate((one, two)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(one) == names(two) == {f"{name}.{n}" for name, n in seen} and len(seen) == 120
    one.close()
    two.close()


def test_turns_are_taken_in_order():
    turns, seen, threads = Turns(), [], []
    turns.acquire()

    def take(i):
        turns.acquire()
        seen.append(i)
        turns.release()

    for i in range(10):
        threads.append(threading.Thread(target=take, args=(i,)))
        threads[-1].start()
        while turns.waiting <= i:
            pass
    turns.release()
    for thread in threads:
        thread.join()
    assert seen == list(range(10))


def test_one_server_a_file(database, tmp_path):
    other = open_database(tmp_path / "x.db")
    with only_server(database), pytest.raises(UserError, match=r"already served by process \d+"), only_server(other):
        pass
    with only_server(other):
        pass
    other.close()


def test_a_file_that_another_process_holds_can_be_written_later(tmp_path, monkeypatch):
    monkeypatch.setattr("heed.feedback.database.BUSY_SECONDS", 0.01)
    database = open_database(tmp_path / "x.db")
    holder = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        with pytest.raises(RunError, match="locked"), database.writing() as db:
            add(db, "never")
    holder.execute("ROLLBACK")
    holder.close()
    with database.writing() as db:
        add(db, "ann")
    assert names(database) == {"ann"}
    database.close()
