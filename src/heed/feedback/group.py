"""Writers of one process whose order counts: one at a time, in the order they came, and many to a commit.

A commit that survives a power cut waits for the disk, which takes longer than everything else a write does.  So a writer
that has others waiting behind it leaves its transaction open for the next, and returns only when the last of the group has
committed for all.  Each has a savepoint of its own: one that fails undoes what it did itself and nothing else.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

MOST, LONGEST = 32, 0.02  # writers, and seconds, to a commit
LOOK_AGAIN = 0.05  # seconds after which a member sees to it that its group does not wait for somebody who left


class Turns:
    """A lock that is given in the order in which it was asked for, and knows how many wait."""

    def __init__(self):
        self._guard, self._queue, self._taken = threading.Lock(), deque(), False

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def acquire(self) -> None:
        """Wait for one's turn."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._queue.append(mine)
        try:
            mine.acquire()
        except BaseException:  # interrupted: whoever is next must not wait for somebody who went away
            with self._guard:
                gone = mine in self._queue
                if gone:
                    self._queue.remove(mine)
            if not gone:
                self.release()
            raise

    def release(self) -> None:
        """The next one's turn."""
        with self._guard:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False


class Group:
    """Writers that share a commit."""

    def __init__(self, engine: Engine, begin: str):
        self.connection = engine.connect()
        try:
            self.transaction = self.connection.begin()
            if begin:
                self.connection.exec_driver_sql(begin)
        except BaseException:  # another process has the file: whoever comes next must be able to try
            self.connection.close()
            raise
        driver = self.connection.connection.driver_connection
        self.sqlite = driver if isinstance(driver, sqlite3.Connection) else None
        self.say: Callable[[str], Any] = driver.execute if self.sqlite else self.connection.exec_driver_sql
        self.members, self.began, self.over = 0, monotonic(), threading.Event()
        self.error: BaseException | None = None

    @property
    def open(self) -> bool:
        """Whether a failed member can be undone by itself; SQLite ends the transaction when the disk is full."""
        return self.sqlite is None or self.sqlite.in_transaction

    def end(self, finish: Callable[[], None], error: BaseException | None = None) -> None:
        """Commit or roll back, for every member; what goes wrong is told to each."""
        try:
            finish()
            self.error = error
        except BaseException as fault:
            self.error = error or fault
        finally:
            try:
                self.connection.close()
            finally:
                self.over.set()


class Writers:
    """`transaction()` is a write: on disk when its block is left, undone when the block raises.

    `begin`: what each group says first, such as a lock that other servers wait for.
    """

    def __init__(self, engine: Engine, begin: str = ""):
        self.engine, self.begin, self.turns = engine, begin, Turns()
        self._group: Group | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self.turns.acquire()
        try:
            group = self._group = self._group or Group(self.engine, self.begin)
        except BaseException:
            self.turns.release()
            raise
        try:
            group.say("SAVEPOINT member")
            yield group.connection
            group.say("RELEASE SAVEPOINT member")
            group.members += 1
        except BaseException as fault:
            self._undo(group, fault)
            raise
        finally:
            self._leave(group)
        while not group.over.wait(LOOK_AGAIN):
            self.turns.acquire()
            self._leave(group)
        if group.error is not None:
            raise group.error

    def _undo(self, group: Group, fault: BaseException) -> None:
        try:
            if group.open:
                group.say("ROLLBACK TO SAVEPOINT member")
                group.say("RELEASE SAVEPOINT member")
                return
        except (sqlite3.Error, DBAPIError):
            pass
        self._end(group, group.transaction.rollback, fault)  # a full disk undoes everything: nobody of the group has written

    def _leave(self, group: Group) -> None:
        """Commit for all, or leave it to whoever waits; then it is their turn."""
        try:
            full = group.members >= MOST or monotonic() - group.began > LONGEST
            if self._group is group and (full or not self.turns.waiting):
                self._end(group, group.transaction.commit if group.members else group.transaction.rollback)
        finally:
            self.turns.release()

    def _end(self, group: Group, finish: Callable[[], None], error: BaseException | None = None) -> None:
        self._group = None
        group.end(finish, error)
