"""Every store keeps the same promises: SQLite always, PostgreSQL where HEED_TEST_POSTGRES names a server."""

import os
from functools import partial
from uuid import uuid4

import pytest

from heed.feedback.store import open_store
from heed.testing.store import CHECKS

POSTGRES = os.environ.get("HEED_TEST_POSTGRES", "")  # postgresql://user@host/name, a database that tests may fill


def in_folder(folder, name):
    return open_store(folder / f"{name}.db")


def in_schema(url, prefix, name):
    """Each store has a schema of its own on the server."""
    import sqlalchemy as sa

    schema = f"heed_test_{prefix}_{name}"
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    engine.dispose()
    return open_store(f"{url}?options=-csearch_path%3D{schema}")


@pytest.fixture(params=["sqlite", "postgresql"])
def opener(request, tmp_path):
    if request.param == "sqlite":
        return partial(in_folder, tmp_path)
    if not POSTGRES:
        pytest.skip("HEED_TEST_POSTGRES is not set")
    return partial(in_schema, POSTGRES, uuid4().hex[:8])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_store(check, opener):
    check(opener)
