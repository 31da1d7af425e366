"""A finding about a dataset, what was seen of it, and the few things every look at it needs."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from heed.errors import UserError
from heed.records import Demonstration, Prompt, Ranking, Rating, Record


@dataclass(frozen=True)
class Finding:
    """One thing seen: how grave, what, where (the first place), and what to do."""

    level: Literal["error", "warning", "ok"]
    what: str
    where: str = ""
    advice: str = ""


@dataclass
class Seen:
    """Everything that was read of a source, each record with the place of its row."""

    source: str
    records: list[tuple[str, Record]] = field(default_factory=list)
    errors: list[UserError] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    titles: list[str] = field(default_factory=list)

    def of(self, *kinds: type) -> list[tuple[str, Record]]:
        """The records of those kinds with their places."""
        return [(place, r) for place, r in self.records if isinstance(r, kinds)]


def prompt_of(record: Record) -> Prompt | None:
    """The prompt that a record answers or is."""
    return record if isinstance(record, Prompt) else getattr(record, "prompt", None)


def said(prompt: Prompt) -> str:
    """All that a prompt says."""
    return prompt.content if isinstance(prompt.content, str) else "\n".join(m.content for m in prompt.content)


def answers(record: Record) -> Sequence[str]:
    """The texts that answer."""
    if isinstance(record, Ranking):
        return record.completions
    if isinstance(record, Demonstration):
        return (record.completion,)
    return (record.candidate.text,) if isinstance(record, Rating) else ()


def identity(record: Record) -> Hashable:
    """Equal for two records that say the same."""
    if isinstance(record, Ranking):
        return (
            "Ranking",
            record.judgement.labeler,
            record.prompt.id,
            frozenset(zip(record.completions, record.ranks, strict=True)),
        )
    if isinstance(record, Rating):
        return "Rating", record.labeler, record.prompt.id, record.candidate.text, tuple(sorted(record.scores.items()))
    prompt = prompt_of(record)
    return (
        type(record).__name__,
        prompt.id if prompt else getattr(record, "id", ""),
        *answers(record),
        getattr(record, "text", ""),
    )


def share(part: int, whole: int) -> str:
    """`12 (3.4%)`."""
    return f"{part:,} ({part / max(whole, 1):.1%})"


def wilson(value: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share `value` of `n` (Wilson 1927): inside 0..1, and honest near its ends."""
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    return centre - half, centre + half
