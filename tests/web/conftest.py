"""A service on a fresh store, spoken to as a browser without JavaScript would: forms, cookies, redirects."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for visitors

from visitors import CHEAP, PASSWORD, post

from heed.feedback.people import People
from heed.feedback.store import open_store
from heed.feedback.work import Work
from heed.records import Candidate
from heed.web.app import create_app
from heed.workflows.serve import Serve


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, now=1_800_000_000.0):
        self.now = now

    def __call__(self):
        return self.now


class Echo:
    """A model that says what it was told, with a number."""

    def __init__(self):
        self.calls = 0
        self.silent = False

    def replies(self, prompt, n):
        from heed.web.engines import Silent

        if self.silent:
            raise Silent("the model is asleep")
        found = []
        for _ in range(n):
            self.calls += 1
            last = prompt.content if isinstance(prompt.content, str) else prompt.content[-1].content
            found.append(Candidate(f"Echo {self.calls}: {last}", "secret-checkpoint-7"))
        return found


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    with open_store(tmp_path / "store.db", clock=clock) as store:
        yield store


@pytest.fixture
def echo():
    return Echo()


@pytest.fixture
def people(store):
    return People(store, CHEAP)


@pytest.fixture
def app(store, people, echo, tmp_path):
    (tmp_path / "clips").mkdir()
    settings = Serve(store=str(tmp_path / "store.db"), media=str(tmp_path / "clips"))
    return create_app(store, settings, engines=[echo], people=people)


@pytest.fixture
def work(store):
    return Work(store)


@pytest.fixture
def browser(app, people):
    """A function: a new browser, of somebody with a role, or of nobody."""
    from starlette.testclient import TestClient

    opened = []

    def open_browser(name=None, role="labeler", pool=""):
        client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=True, raise_server_exceptions=True)
        opened.append(client)
        client.name = name
        if name is not None:
            if people.user(name) is None:
                _, token = people.invite("test", role, pool)
                people.accept(token, name, PASSWORD)
            answer = post(client, "/login", name=name, password=PASSWORD)
            assert answer.status_code == 200, answer.text
        return client

    yield open_browser
    for client in opened:
        client.close()
