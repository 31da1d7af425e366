"""Models that talk with people, behind OpenAI-compatible servers (`POST {url}/chat/completions`), over plain HTTP.

A page never waits for a model longer than SECONDS, and is usable without any.
"""

import http.client
import json
import os
import random
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from heed.errors import UserError
from heed.records import Candidate, Prompt, new_id

SECONDS = 60.0
LARGEST = 4 << 20  # bytes of a reply
LONGEST = 20_000  # characters of a text


class Silent(Exception):
    """The model gave no answer; a person may try again."""


class Engine(Protocol):
    """Whoever can say what comes next."""

    def replies(self, prompt: Prompt, n: int) -> list[Candidate]:
        """`n` texts, or fewer.  Raises Silent."""


@dataclass(frozen=True)
class RemoteEngine:
    """`checkpoint`: what the completions say of where they come from, as in the store's table of checkpoints."""

    url: str
    checkpoint: str
    key_env: str = ""
    temperature: float = 1.0
    max_tokens: int = 512

    def replies(self, prompt: Prompt, n: int) -> list[Candidate]:
        """`n` samples, asked for in one request."""
        turns = prompt.trl()
        turns = [{"role": "user", "content": turns}] if isinstance(turns, str) else turns
        body = {"model": self.checkpoint, "messages": turns, "n": n, "temperature": self.temperature,
                "max_tokens": self.max_tokens, "seed": random.getrandbits(31)}  # fmt: skip
        sampling = {"temperature": self.temperature, "max_tokens": self.max_tokens, "seed": body["seed"]}
        texts = _texts(self._ask(json.dumps(body).encode()))
        return [Candidate(text[:LONGEST], self.checkpoint, sampling={**sampling, "place": i}, id=new_id())
                for i, text in enumerate(texts[:n])]

    def _ask(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "User-Agent": "heed"}
        if self.key_env:
            headers["Authorization"] = f"Bearer {os.environ.get(self.key_env, '')}"
        request = urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", body, headers)
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=SECONDS) as response:
                return response.read(LARGEST)
        except urllib.error.HTTPError as error:
            error.close()
            raise Silent(f"the model's server answered {error.code}") from None
        except (OSError, http.client.HTTPException):
            raise Silent("the model's server cannot be reached") from None


def parse_engines(names: Sequence[str], key_env: str = "") -> list[RemoteEngine]:
    """`checkpoint@http://host:port/v1`, one each."""
    found = []
    for name in names:
        checkpoint, at, url = name.rpartition("@")
        parts = urlsplit(url)
        if not at or not checkpoint or parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"engines: {name!r}; expected checkpoint@http://host:port/v1")
        found.append(RemoteEngine(url, checkpoint, key_env))
    if found and key_env and not os.environ.get(key_env):
        raise UserError(f"engine_key_env: the environment variable {key_env!r} is not set")
    return found


def two_replies(engines: Sequence[Engine], prompt: Prompt) -> tuple[Candidate, Candidate]:
    """Two to compare, by two of the models where there are several.  Both or neither: raises Silent."""
    if not engines:
        raise Silent("no model is connected to this server")
    a, b = random.sample(list(engines), 2) if len(engines) > 1 else (engines[0], engines[0])
    if a is b:
        found = a.replies(prompt, 2)
        if len(found) == 1:
            found += a.replies(prompt, 1)
    else:
        with ThreadPoolExecutor(2) as pool:
            found = [reply for each in pool.map(lambda engine: engine.replies(prompt, 1), (a, b)) for reply in each[:1]]
    if len(found) != 2:
        raise Silent("the model gave one reply instead of two")
    return found[0], found[1]


def suggestions(engines: Sequence[Engine], prompt: Prompt, n: int = 3) -> list[Candidate]:
    """What the model would say here.  Raises Silent."""
    if not engines:
        raise Silent("no model is connected to this server")
    return random.choice(list(engines)).replies(prompt, n)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A redirect is an error: urllib would take the key along."""


def _texts(body: bytes) -> list[str]:
    try:
        texts = [choice["message"]["content"] for choice in json.loads(body)["choices"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Silent("the model's server sent something that is no completion") from None
    texts = [text for text in texts if isinstance(text, str) and text.strip()]
    if not texts:
        raise Silent("the model said nothing")
    return texts
