"""What browsers without JavaScript do: forms, cookies, redirects; and tasks to do it with."""

import re
from html import unescape

from argon2 import PasswordHasher

from heed.feedback.work import Task
from heed.records import Candidate, Message, Prompt

PASSWORD = "open sesame street"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def token(client):
    """What the page's forms carry."""
    return client.get("/api/session").json()["csrf"]


def post(client, path, fields=(), **more):
    """A form of ours."""
    pairs = [*(fields.items() if isinstance(fields, dict) else fields), *more.items()]
    data = {}
    for name, value in [*pairs, ("csrf", token(client))]:
        data.setdefault(name, []).append(value)
    return client.post(path, data=data)


def ajax(client, method, path, json=None, **headers):
    """What a module of ours sends."""
    return client.request(method, path, json=json, headers={"X-CSRF-Token": token(client), **headers})


def hidden(page, name):
    """The value of a hidden field."""
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', page)
    return unescape(found[1]) if found else None


def prompt(text="What is a seal?"):
    return Prompt((Message("user", text),))


def answers(*texts):
    return tuple(Candidate(text, made_by="secret-checkpoint-7") for text in texts)


def a_task(kind, text="What is a seal?", **more):
    """A task of that kind with something to show."""
    count = {"rank": 3, "pairwise": 2, "rate": 1, "edit": 1, "clips": 2}.get(kind, 0)
    shown = more.pop("texts", [f"Answer number {i + 1}." for i in range(count)])
    if kind == "live_compare":
        more.setdefault("mode", "helpful")
    return Task(kind, prompt(text), answers(*shown), **more)
