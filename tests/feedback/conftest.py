"""A room to test in: a store with a clock that stands still, on SQLite and on PostgreSQL."""

import itertools
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from heed.feedback.desk import Desk
from heed.feedback.store import SQLStore, open_store
from heed.feedback.talks import Talks
from heed.feedback.work import Task, Work
from heed.records import Candidate, Prompt
from heed.testing.postgres import in_schema


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@dataclass
class Room:
    """A store and those who work on it."""

    store: SQLStore
    clock: Clock
    ids: itertools.count = field(default_factory=itertools.count)

    def __post_init__(self):
        self.desk, self.work, self.talks = Desk(self.store), Work(self.store), Talks(self.store)

    def ask(self, kind="rank", texts="abc", **more):
        """A new task about a new prompt: its number.  The texts of the candidates are given one by one."""
        n = next(self.ids)
        candidates = tuple(Candidate(text, "step-10", id=f"c{n}.{i}") for i, text in enumerate(texts))
        more = {"prompt": Prompt(f"prompt {n}", {"reference": "secret"}), "id": f"t{n}", **more}
        return self.work.ask([Task(kind, candidates=candidates, **more)])[0]

    def submit(self, who, task, body, id=None, **more):
        return self.desk.submit(who, task, id or f"answer-{next(self.ids)}", body, **more)

    def claim(self, who, *args, **more):
        """The number of the task, or None."""
        found = self.desk.claim(who, *args, **more)
        return found.task if found else None


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request, tmp_path):
    if request.param == "sqlite":
        return tmp_path / "room.db"
    return in_schema(request.getfixturevalue("postgres"), f"heed_test_{uuid4().hex[:8]}")


@pytest.fixture
def room(address):
    clock = Clock()
    with open_store(address, clock=clock) as store:
        yield Room(store, clock)
