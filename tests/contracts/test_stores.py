"""Every store keeps the same promises: SQLite always, PostgreSQL where there is one."""

from functools import partial
from uuid import uuid4

import pytest

from heed.feedback.store import SQLStore, open_store
from heed.records import Ranking
from heed.testing.postgres import in_schema
from heed.testing.store import CHECKS, adds_all_or_nothing, claims_once, loses_nothing_when_killed, ranks_only_what_holds


def in_folder(folder, name):
    return open_store(folder / f"{name}.db")


def in_database(url, prefix, name):
    """Each store has a schema of its own on the server."""
    return open_store(in_schema(url, f"heed_test_{prefix}_{name}"))


@pytest.fixture(params=["sqlite", "postgresql"])
def opener(request, tmp_path):
    if request.param == "sqlite":
        return partial(in_folder, tmp_path)
    return partial(in_database, request.getfixturevalue("postgres"), uuid4().hex[:8])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_store(check, opener):
    check(opener)


class Hasty(SQLStore):
    """Says it has stored what it still holds in memory."""

    def add(self, records):
        self.waiting = [*getattr(self, "waiting", []), *records]
        if len(self.waiting) >= 1000:
            super().add(self.waiting)
            self.waiting = []


class Careless(SQLStore):
    """Forgets at once who is at work on what."""

    def claim(self, labeler):
        self.lease_seconds = 0
        return super().claim(labeler)


class Piecemeal(SQLStore):
    """Adds one record at a time."""

    def add(self, records):
        for record in records:
            super().add([record])


class Hoarder(SQLStore):
    """Takes corrected answers for further ones."""

    def rankings(self, *, split=None):
        of = {c.id: c for c in self.comparisons()}
        return [Ranking(of[j.comparison_id], j) for j in self.judgements() if j.ranks]


def broken(kind, folder, name):
    good = in_folder(folder, name)
    return kind(good.database, good.overlap, good.lease_seconds, good.clock)


@pytest.mark.parametrize(("kind", "check"), [
    (Hasty, loses_nothing_when_killed),
    (Careless, claims_once),
    (Piecemeal, adds_all_or_nothing),
    (Hoarder, ranks_only_what_holds),
])  # fmt: skip
def test_the_suite_finds_a_broken_store(kind, check, tmp_path):
    with pytest.raises(AssertionError):
        check(partial(broken, kind, tmp_path))
