"""What was asked and what was answered.  Plain data: no torch, no database, no web.

An answer is kept as it was given: ranks, ties included, over the ids of the candidates that were shown.
Pairs are derived from it when they are needed and never stored, so that they cannot drift from the answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from time import time
from typing import Any, Literal
from uuid import uuid4

Split = Literal["train", "valid", "test"]


def new_id() -> str:
    """A random id."""
    return uuid4().hex


def content_id(*parts: str) -> str:
    """The same parts always get the same id: 16 hex digits of their SHA-256."""
    return sha256("\x1f".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def split_of(key: str, *, valid: float = 0.05, test: float = 0.05) -> Split:
    """Which split a prompt belongs to, from a hash of `key`: decided per prompt, never per pair or per answer."""
    u = int(sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12], 16) / 16**12
    return "test" if u < test else "valid" if u < test + valid else "train"


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str  # system, user or assistant
    content: str


@dataclass(frozen=True)
class Text:
    """A document to learn the language from."""

    text: str
    split: Split = "train"


@dataclass(frozen=True)
class Prompt:
    """What the model is asked: the turns of a conversation, or plain text to continue.

    `columns` holds whatever else the dataset says of the prompt (use case, reference answer, what a verifier needs);
    reward functions receive them by name, as in TRL.
    """

    content: str | tuple[Message, ...]
    columns: Mapping[str, Any] = field(default_factory=dict)
    split: Split = "train"
    id: str = ""

    def __post_init__(self):
        if not self.id:
            object.__setattr__(self, "id", content_id(*self.parts()))

    def parts(self) -> list[str]:
        if isinstance(self.content, str):
            return [self.content]
        return [x for m in self.content for x in (m.role, m.content)]

    def trl(self) -> str | list[dict[str, str]]:
        """The prompt in TRL's shape: a string, or a list of {"role", "content"}."""
        return self.content if isinstance(self.content, str) else [asdict(m) for m in self.content]


@dataclass(frozen=True)
class Demonstration:
    """What a person would have written: the answer to a prompt."""

    prompt: Prompt
    completion: str
    author: str = "human"


@dataclass(frozen=True)
class Candidate:
    """One thing a person may prefer: a completion, with where it came from."""

    text: str
    made_by: str = "unknown"  # the checkpoint that wrote it, or "human"
    tokens: tuple[int, ...] | None = None  # the ids that were sampled, never re-tokenised text
    logprob: float | None = None  # sum over `tokens` under the policy that sampled them
    sampling: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_id)


@dataclass(frozen=True)
class Comparison:
    """A question: which of these answers to this prompt do you prefer?"""

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    id: str = field(default_factory=new_id)
    asked_at: float = field(default_factory=time)


@dataclass(frozen=True)
class Judgement:
    """An answer to a comparison.  `ranks` maps candidate ids to 1 (best), 2, ...; an equal rank is a tie.

    `strength` says how much better the best is, where it was asked (TRL's `margin`).
    An outcome other than "answered" has no ranks and never becomes training data.
    """

    comparison_id: str
    labeler: str
    ranks: Mapping[str, int]
    outcome: Literal["answered", "skipped", "not_rankable"] = "answered"
    strength: float | None = None
    seconds: float = 0.0
    note: str = ""
    id: str = field(default_factory=new_id)
    answered_at: float = field(default_factory=time)


@dataclass(frozen=True)
class Rating:
    """Absolute scores for one answer, a number per dimension on the scale [low, high]."""

    prompt: Prompt
    candidate: Candidate
    labeler: str
    scores: Mapping[str, float]
    low: float
    high: float
    id: str = field(default_factory=new_id)


@dataclass(frozen=True)
class Ranking:
    """A comparison beside one answer to it: the unit a reward model learns from."""

    comparison: Comparison
    judgement: Judgement

    @property
    def prompt(self) -> Prompt:
        return self.comparison.prompt

    @property
    def completions(self) -> tuple[str, ...]:
        return tuple(c.text for c in self.comparison.candidates)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Ranks in the order of `completions`; 1 is best."""
        return tuple(self.judgement.ranks[c.id] for c in self.comparison.candidates)

    def pairs(self) -> Iterator[tuple[int, int]]:
        """(winner, loser) as positions in `completions`; ties give none."""
        ranks = self.ranks
        yield from ((i, j) for i in range(len(ranks)) for j in range(len(ranks)) if ranks[i] < ranks[j])


Record = Text | Prompt | Demonstration | Comparison | Judgement | Rating | Ranking
KINDS: dict[str, type] = {k.__name__: k for k in (Text, Prompt, Demonstration, Comparison, Judgement, Rating, Ranking)}


def to_json(record: Record) -> dict[str, Any]:
    """A record as plain JSON values with its kind beside them."""
    return {"kind": type(record).__name__, **asdict(record)}


def from_json(row: Mapping[str, Any]) -> Record:
    """The record `to_json` wrote."""
    return _build(KINDS[row["kind"]], {k: v for k, v in row.items() if k != "kind"})


def _build(kind: type, row: Mapping[str, Any]) -> Any:
    row = dict(row)
    if kind is Prompt and not isinstance(row["content"], str):
        row["content"] = tuple(Message(**m) for m in row["content"])
    if kind is Candidate and row.get("tokens") is not None:
        row["tokens"] = tuple(row["tokens"])
    for name, nested in {"prompt": Prompt, "candidate": Candidate, "comparison": Comparison, "judgement": Judgement}.items():
        if isinstance(row.get(name), Mapping):
            row[name] = _build(nested, row[name])
    if "candidates" in row:
        row["candidates"] = tuple(_build(Candidate, c) for c in row["candidates"])
    return kind(**row)
