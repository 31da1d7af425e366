"""Prompts in InstructGPT's proportions of use cases, and the line between train, valid and test.

Source of the proportions: Ouyang et al. 2022, table 1.
"""

from collections.abc import Iterator
from functools import lru_cache
from random import Random

from heed.language.datasets.seal_bay import asks_edit, asks_ideas, asks_know, asks_talk, asks_write, harm
from heed.language.datasets.seal_bay.ask import Ask
from heed.language.datasets.seal_bay.town import Person, Town, build

PROPORTIONS = {
    "generation": 0.456,
    "open_qa": 0.124,
    "brainstorming": 0.112,
    "chat": 0.084,
    "rewrite": 0.066,
    "summarization": 0.042,
    "classification": 0.035,
    "other": 0.035,
    "closed_qa": 0.026,
    "extract": 0.019,
}
BUILDERS = {
    "generation": asks_write.ASKS,
    "open_qa": asks_know.OPEN,
    "brainstorming": asks_ideas.BRAINSTORM,
    "chat": asks_talk.CHAT,
    "rewrite": asks_edit.REWRITE,
    "summarization": asks_edit.SUM,
    "classification": asks_know.LABEL,
    "other": asks_know.OTHER,
    "closed_qa": asks_know.CLOSED,
    "extract": asks_know.FIND,
}
SIZES = {"train": 6000, "valid": 400, "test": 600}


def draw(t: Town, r: Random, people: tuple[Person, ...], use_case: str) -> Ask:
    """One ask of this use case, harmful as often as such requests are."""
    if r.random() < harm.SHARE.get(use_case, 0):
        return harm.harmful(t, r, people, use_case)
    builders, weights = zip(*BUILDERS[use_case], strict=True)
    return r.choices(builders, weights)[0](t, r, people)


def any_ask(t: Town, r: Random, people: tuple[Person, ...]) -> Ask:
    """One ask of any use case, as often as the proportions say."""
    return draw(t, r, people, r.choices(tuple(PROPORTIONS), tuple(PROPORTIONS.values()))[0])


@lru_cache(maxsize=12)
def asks(seed: int, split: str) -> tuple[Ask, ...]:
    """The distinct asks of a split, in an order of which every beginning has about the same proportions.

    A combination (a story of the bear and the seal) is in one split only, whatever the wording.  People who are held
    out are in test alone, and in about a fifth of it.
    """
    t = build(seed)
    r = Random(f"asks {seed} {split}")
    found: dict[tuple[str, ...], Ask] = {}
    names = {p.word for p in t.strangers}
    for use_case, n in _quotas(SIZES[split]).items():
        wanted = len(found) + n
        for ask in _stream(t, r, split, use_case):
            if ask.split == split and (split == "test" or not names & ask.names):
                found.setdefault(ask.turns, ask)
            if len(found) == wanted:
                break
    rows = list(found.values())
    r.shuffle(rows)
    return tuple(rows)


def _stream(t: Town, r: Random, split: str, use_case: str, tries: int = 200_000) -> Iterator[Ask]:
    for _ in range(tries):
        new = split == "test" and r.random() < 0.2
        yield draw(t, r, t.strangers if new else t.known, use_case)


def _quotas(n: int) -> dict[str, int]:
    """n shared out by `PROPORTIONS`; generation takes what rounding leaves."""
    quotas = {k: round(n * p) for k, p in PROPORTIONS.items()}
    quotas["generation"] += n - sum(quotas.values())
    return quotas
