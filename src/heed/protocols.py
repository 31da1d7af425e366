"""The seams of heed, on one screen.  Write a class with these methods and it fits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from heed.records import Comparison, Demonstration, Judgement, Ranking, Rating


class Store(Protocol):
    """Where feedback is kept, and the only place where people and training meet."""

    def add(self, records: Iterable[Comparison | Judgement | Rating | Demonstration]) -> None:
        """Append; a record whose id is already there is left as it was.  All or nothing."""

    def comparisons(self, *, judged: bool | None = None) -> list[Comparison]: ...
    def judgements(self) -> list[Judgement]: ...
    def rankings(self, *, split: str | None = None) -> list[Ranking]:
        """Answered comparisons, one Ranking an answer, in the order they arrived."""

    def claim(self, labeler: str) -> Comparison | None: ...


class Labeler(Protocol):
    """Whoever answers.  A person takes hours, so asking and answering are two calls."""

    name: str

    def ask(self, comparisons: Sequence[Comparison]) -> None: ...
    def answers(self) -> list[Judgement]: ...


@dataclass(frozen=True)
class Sampling:
    """How to sample.  Training needs the plain distribution: temperature only, no top-k and no top-p."""

    n: int = 1  # completions a prompt
    max_tokens: int = 64
    temperature: float = 1.0  # 0 is greedy
    top_k: int = 0  # 0 is off
    top_p: float = 1.0
    beams: int = 1  # beam search, for evaluation only
    seed: int = 0


@dataclass(frozen=True)
class Completion:
    """Tokens in, tokens out.  `tokens` ends with EOS when `finished`, and never holds padding."""

    tokens: list[int]
    logprobs: list[float]  # of each token under softmax(logits / temperature), before top-k and top-p
    finished: bool


class Engine(Protocol):
    """Samples from a language model: transformers, a static cache, a server."""

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling) -> list[list[Completion]]:
        """`sampling.n` completions for each prompt of token ids; the same seed gives the same completions."""


class Scorer(Protocol):
    """A number for each completion: a reward model, a verifier, a length penalty.  TRL's signature.

    `prompts` and `completions` are strings, or lists of {"role", "content"}; `columns` are the dataset's other columns,
    one entry per completion.  None means that this scorer has nothing to say about that completion.
    """

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Sequence[Any]) -> list[float | None]: ...


class Tracker(Protocol):
    """Where figures go while a run lasts."""

    def log(self, metrics: Mapping[str, float], *, step: int) -> None: ...
    def close(self) -> None: ...
