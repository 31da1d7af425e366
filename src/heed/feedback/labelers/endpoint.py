"""A language model behind an OpenAI-compatible server (`POST {url}/chat/completions`), over plain HTTP.

Tried again with a growing pause: 429, 5xx, timeouts, broken connections and replies that are no JSON.  A request that the
server refuses by itself (400, 413, 422: too long, mostly) fails alone.  A wrong key, address or model stops everything.
The key is read from an environment variable when it is used; it is in no file, log or message, and no redirect takes it
elsewhere.
"""

import http.client
import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from heed.errors import RunError, UserError
from heed.feedback.labelers.calls import Reply

AGAIN = (408, 409, 425, 429)  # and every 5xx
ALONE = (400, 413, 422)
LONGEST_PAUSE = 60.0  # seconds
LARGEST = 4 << 20  # bytes of a reply
GIVE_UP = 10  # requests that fail in a row: the server is gone, and waiting through thousands more helps nobody


class Endpoint:
    """A judge's model (heed.feedback.labelers.calls.Model) on a server.

    url          up to the part before /chat/completions, such as http://127.0.0.1:8000/v1
    key_env      environment variable with the key; none is sent without it
    price_in, price_out   dollars a million tokens, where known
    at_once      requests in flight
    tries        times a request is sent before it counts as failed
    """

    def __init__(self, url: str, model: str, *, key_env: str = "", temperature: float = 0.0, max_tokens: int = 512,
                 timeout: float = 60.0, tries: int = 5, at_once: int = 8, price_in: float | None = None,
                 price_out: float | None = None, sleep: Callable[[float], Any] | None = None):
        self.url, self.model, self.key_env = url.rstrip("/"), model, key_env
        self.settings = {"temperature": temperature, "max_tokens": max_tokens}
        self.timeout, self.tries, self.at_once = timeout, tries, at_once
        self.price_in, self.price_out = price_in, price_out
        self._stopped = threading.Event()  # cuts pauses short, so that nobody waits for requests nobody wants any more
        self._sleep = sleep or self._stopped.wait
        self._open = urllib.request.build_opener(_NoRedirect).open
        self._check()

    @property
    def id(self) -> str:
        """All that a reply depends on besides the prompt."""
        return json.dumps({"url": self.url, "model": self.model, **self.settings}, sort_keys=True)

    def cost(self, reply: Reply) -> float | None:
        """Dollars; None where the prices are not known."""
        if self.price_in is None or self.price_out is None:
            return None
        return (reply.tokens_in * self.price_in + reply.tokens_out * self.price_out) / 1e6

    def __call__(self, prompts: Sequence[str]) -> Iterator[tuple[int, Reply]]:
        """(place in `prompts`, reply) as they come.  Raises UserError and RunError as the module says."""
        pool, failed = ThreadPoolExecutor(self.at_once), 0
        try:
            waiting = {pool.submit(self.reply, prompt): i for i, prompt in enumerate(prompts)}
            for done in as_completed(waiting):
                reply = done.result()
                yield waiting[done], reply
                failed = failed + 1 if reply.error and not reply.error.startswith("refused") else 0
                if failed >= GIVE_UP:
                    raise RunError(f"the judge at {self.url} failed {failed} times in a row (last: {reply.error}); the same "
                                   "command asks only for what is missing")
        finally:
            self._stopped.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._stopped.clear()

    def reply(self, prompt: str) -> Reply:
        """One request, sent up to `tries` times.  Raises UserError for a wrong key, address or model."""
        body = json.dumps({"model": self.model, "messages": [{"role": "user", "content": prompt}], **self.settings}).encode()
        began, last, pause = time.monotonic(), "", 0.0
        for attempt in range(1, self.tries + 1):
            try:
                reply = self._send(body)
                return replace(reply, seconds=time.monotonic() - began, tries=attempt)
            except _Passing as fault:
                last, pause = str(fault), fault.pause
            if attempt == self.tries or self._stopped.is_set():
                break
            self._sleep(pause or min(LONGEST_PAUSE, 2 ** (attempt - 1)) * random.uniform(0.5, 1.0))
        return Reply(error=last, seconds=time.monotonic() - began, tries=attempt)

    def _send(self, body: bytes) -> Reply:
        headers = {"Content-Type": "application/json", "User-Agent": "heed"}
        if self.key_env:
            headers["Authorization"] = f"Bearer {self._key()}"
        request = urllib.request.Request(f"{self.url}/chat/completions", body, headers)
        try:
            with self._open(request, timeout=self.timeout) as response:
                return _read(response.read(LARGEST + 1))
        except urllib.error.HTTPError as error:
            return self._refused(error)
        except TimeoutError:
            raise _Passing(f"no reply within {self.timeout:g} s") from None
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise _Passing(f"no reply within {self.timeout:g} s") from None
            raise _Passing(f"no connection: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(f"connection lost: {error!r:.80}") from None

    def _refused(self, error: urllib.error.HTTPError) -> Reply:
        with error:
            try:
                said = error.read(2000).decode("utf-8", "replace")
            except (OSError, http.client.HTTPException):
                said = ""
        said = " ".join((said.replace(self._key(), "***") if self.key_env else said).split())[:300]
        where = f"the judge at {self.url} answered {error.code}"
        if error.code in AGAIN or error.code >= 500:
            raise _Passing(f"{error.code} {said}".strip(), _seconds(error.headers.get("Retry-After")))
        if error.code in ALONE:
            return Reply(error=f"refused, {error.code}: {said}")
        if error.code in (401, 403):
            hint = f"is the key in {self.key_env} right?" if self.key_env else "name the variable that holds its key (key_env)"
            raise UserError(f"{where}; {hint} {said}")
        if error.code in (404, 405):
            raise UserError(f"{where}; expected an address up to the part before /chat/completions, and a model that it serves "
                            f"(asked for {self.model!r}) {said}")
        raise UserError(f"{where}: {said}")

    def _key(self) -> str:
        key = os.environ.get(self.key_env, "")
        if not key:
            raise UserError(f"the environment variable {self.key_env!r} is not set; expected the key of {self.url}")
        return key

    def _check(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"judge url {parts.hostname or self.url!r}: expected http://host/v1 or https://host/v1")
        if parts.username or parts.password or parts.query:
            raise UserError("judge url: a password or key in it would be saved with the run; put it into an environment "
                            "variable and name that (key_env)")
        local = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
        if self.key_env and parts.scheme == "http" and not local:
            raise UserError(f"judge url {self.url}: the key would travel unencrypted; expected https://")
        if self.key_env:
            self._key()


class _Passing(Exception):
    """A fault that may be gone a moment later; `pause`: seconds that the server asked for."""

    def __init__(self, what: str, pause: float = 0.0):
        super().__init__(what)
        self.pause = pause


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """A redirect is an error: urllib would take the key along."""


def _read(body: bytes) -> Reply:
    if len(body) > LARGEST:
        raise _Passing(f"a reply of more than {LARGEST} bytes")
    try:
        said = json.loads(body)
        text = said["choices"][0]["message"]["content"]
        usage = said.get("usage") or {}
        tokens = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise _Passing(f"not a chat completion: {body[:80]!r}") from None
    return Reply(text if isinstance(text, str) else "", tokens_in=tokens[0], tokens_out=tokens[1])


def _seconds(text: str | None) -> float:
    """Retry-After as seconds; 0 where it is absent, or a date."""
    try:
        return min(LONGEST_PAUSE, max(0.0, float(text or 0)))
    except ValueError:
        return 0.0
