"""Every request to a judge's model and every reply, one line each as they come; what was answered is never asked again.

    {"key", "model", "about", "prompt", "reply", "error", "tokens_in", "tokens_out", "seconds", "tries", "cost"}

`key` is the SHA-256 of model and prompt, `about` says which comparison and which answers in which order.  A failed request
is on record and is sent again by the next run.  A line that a kill cut short is left behind.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from heed.errors import UserError


@dataclass(frozen=True)
class Reply:
    """What came back for one request: its text, or in `error` why there is none."""

    text: str = ""
    error: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    tries: int = 1


class Model(Protocol):
    """Whoever writes the replies: an Endpoint, or a Local function."""

    id: str  # all that a reply depends on besides the prompt

    def __call__(self, prompts: Sequence[str]) -> Iterable[tuple[int, Reply]]: ...
    def cost(self, reply: Reply) -> float | None: ...


@dataclass(frozen=True)
class Local:
    """A function from prompts to replies, in batches: how a local checkpoint becomes a judge.

    `id` names the checkpoint and how it samples; two that reply differently need two names.
    """

    function: Callable[[list[str]], list[str]]
    id: str
    batch: int = 16

    def __call__(self, prompts: Sequence[str]) -> Iterable[tuple[int, Reply]]:
        """(place in `prompts`, reply)."""
        for start in range(0, len(prompts), self.batch):
            some = list(prompts[start : start + self.batch])
            texts = self.function(some)
            if len(texts) != len(some):
                raise UserError(f"judge {self.id!r} gave {len(texts)} replies to {len(some)} prompts")
            yield from ((start + i, Reply(text)) for i, text in enumerate(texts))

    def cost(self, reply: Reply) -> float:
        """Its own machine asks for no money."""
        return 0.0


@dataclass
class Tally:
    """What the calls of one object came to.  Tokens, seconds and cost are of what was sent, not of what was on record."""

    sent: int = 0
    cached: int = 0
    failed: int = 0
    tries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cost: float = 0.0  # dollars; NaN where prices are not known


class Calls:
    """A model with its log; `path` None keeps it in memory only."""

    def __init__(self, model: Model, path: str | Path | None = None):
        self.model, self.path, self.tally = model, None if path is None else Path(path), Tally()
        self._known: dict[str, Reply] = {}
        self._file = None
        if self.path is not None:
            self._known = _read(self.path)

    def ask(self, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, Reply]:
        """Prompt -> what it is about; returns prompt -> reply.  Each reply is in the log before the next is looked at."""
        found, new = {}, []
        for prompt in questions:
            if (reply := self._known.get(self.key(prompt))) is not None:
                found[prompt] = reply
                self.tally.cached += 1
            else:
                new.append(prompt)
        for i, reply in self.model(new) if new else ():
            found[new[i]] = reply
            self._count(reply)
            self._write(new[i], questions[new[i]], reply)
            if not reply.error:
                self._known[self.key(new[i])] = reply
        return found

    def key(self, prompt: str) -> str:
        """SHA-256 of what determines the reply."""
        return sha256(f"{self.model.id}\x1f{prompt}".encode("utf-8", "surrogatepass")).hexdigest()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _count(self, reply: Reply) -> None:
        t, cost = self.tally, self.model.cost(reply)
        t.sent += 1
        t.failed += bool(reply.error)
        t.tries += reply.tries
        t.tokens_in += reply.tokens_in
        t.tokens_out += reply.tokens_out
        t.seconds += reply.seconds
        t.cost += math.nan if cost is None else cost

    def _write(self, prompt: str, about: Mapping[str, Any], reply: Reply) -> None:
        if self.path is None:
            return
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab")
            if self._file.tell() and not _ends_a_line(self.path):
                self._file.write(b"\n")
        row = asdict(reply)
        row = {"key": self.key(prompt), "model": self.model.id, "about": dict(about), "prompt": prompt,
               "reply": row.pop("text"), **row, "cost": self.model.cost(reply)}
        self._file.write(json.dumps(row).encode() + b"\n")
        self._file.flush()


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def _read(path: Path) -> dict[str, Reply]:
    """The replies on record, by key."""
    if not path.exists():
        return {}
    known = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row = json.loads(line)
            except ValueError:
                continue  # cut short by a kill
            try:
                if not row["error"]:
                    known[row["key"]] = Reply(row["reply"], "", row["tokens_in"], row["tokens_out"], row["seconds"],
                                              row["tries"])
            except (KeyError, TypeError):
                raise UserError(f"{path}:{number} is not a line of a judge's log; expected key, reply, error, tokens_in, "
                                "tokens_out, seconds, tries") from None
    return known
