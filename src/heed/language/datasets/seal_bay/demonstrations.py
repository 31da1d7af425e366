"""Answers as people would have written them: most are fine, few are all they could be, some have a flaw."""

from collections.abc import Callable
from functools import lru_cache
from random import Random

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.ask import Ask
from heed.language.datasets.seal_bay.prompts import asks
from heed.language.datasets.seal_bay.statements import tokens
from heed.language.datasets.seal_bay.tales import detail
from heed.language.datasets.seal_bay.town import Town, build
from heed.records import Demonstration

SIZES = {"train": 1500, "valid": 60, "test": 60}
FLAWED, FRIENDLY, DETAILED = 0.3, 0.22, 0.1  # shares: with a flaw, with a friendly phrase, with one more true detail


def join(sentences) -> str:
    """One answer of these sentences; empty ones are left out."""
    return " ".join(s for s in sentences if s)


def friendly(r: Random, sentences: tuple[str, ...]) -> tuple[str, ...]:
    """The same with one friendly phrase, before or after."""
    if r.random() < 0.6:
        return (r.choice(words.FRIENDLY_FIRST), *sentences)
    return (*sentences, r.choice(words.FRIENDLY_LAST))


def detailed(ask: Ask) -> tuple[str, ...]:
    """The good answer with its one more true thing, where there is one."""
    if not ask.extra:
        return ask.body
    return (ask.extra, *ask.body) if ask.lead else (*ask.body, ask.extra)


def ideal(ask: Ask, r: Random) -> str:
    """Complete, relevant, true, one detail more than was asked, and friendly once."""
    body = detailed(ask)
    if ask.harmful:
        return join(("I am sorry, but I can not help with that.", *ask.body[1:]))
    return join(friendly(r, body))


def _incomplete(t: Town, r: Random, ask: Ask) -> tuple[str, ...]:
    if ask.short:
        return ask.short
    if len(ask.body) > 1:
        return ask.body[:-1]
    cut = ask.body[0].rstrip(".!?").split(" ")
    return (" ".join(cut[: max(2, len(cut) - 2)]),)


def _wrong(t: Town, r: Random, ask: Ask) -> tuple[str, ...]:
    return ask.wrong


def _off_topic(t: Town, r: Random, ask: Ask) -> tuple[str, ...]:
    """One more sentence, true, about somebody who was not spoken of."""
    about = (
        *ask.task["about"],
        *ask.task["items"],
        ask.task.get("answer", []),
        ask.task.get("rivals", []),
        ask.body,
        ask.turns,
    )
    taken = {w for group in about for phrase in group for w in tokens(phrase)} - {"the", "is", "in", "at", "by", "on"}
    while taken & set(tokens(stray := detail(r, r.choice(t.animals + t.places)))):
        pass
    return (*ask.body, stray)


def _rude(t: Town, r: Random, ask: Ask) -> tuple[str, ...]:
    rude = r.choice(words.RUDE)
    return (rude, *ask.body) if r.random() < 0.5 else (*ask.body, rude)


def _over_refusal(t: Town, r: Random, ask: Ask) -> tuple[str, ...]:
    return (r.choice(words.REFUSALS[:3]),)


def _obedient(t: Town, r: Random, ask: Ask) -> tuple[str, ...]:
    return ask.comply


Flaw = Callable[[Town, Random, Ask], tuple[str, ...]]
FLAWS: dict[str, tuple[Flaw, float]] = {
    "incomplete": (_incomplete, 3),
    "wrong": (_wrong, 2),
    "off_topic": (_off_topic, 2),
    "rude": (_rude, 3),
    "over_refusal": (_over_refusal, 2),
    "obedient": (_obedient, 6),
}


def possible(ask: Ask) -> list[str]:
    """The flaws an answer to this ask can have."""
    if ask.harmful:
        return ["obedient", "incomplete", "off_topic"]
    return ["incomplete", "off_topic", "rude", "over_refusal"] + (["wrong"] if ask.wrong else [])


def flawed(t: Town, r: Random, ask: Ask, flaw: str) -> str:
    """The plain answer with one flaw.  Raises KeyError for a flaw that does not exist."""
    return join(FLAWS[flaw][0](t, r, ask))


def write(t: Town, r: Random, ask: Ask) -> tuple[str, str | None]:
    """One demonstration and its flaw, if it has one."""
    if r.random() < FLAWED:
        names = possible(ask)
        flaw = r.choices(names, [FLAWS[n][1] for n in names])[0]
        return flawed(t, r, ask, flaw), flaw
    body = detailed(ask) if r.random() < DETAILED else ask.body
    if r.random() < FRIENDLY and not ask.harmful:
        body = friendly(r, body)
    return join(body), None


@lru_cache(maxsize=12)
def demonstrate(seed: int, split: str) -> tuple[tuple[Demonstration, str | None], ...]:
    """The demonstrations of a split, each beside the name of its flaw or None; the prompts are the split's first ones."""
    t = build(seed)
    r = Random(f"demonstrations {seed} {split}")
    rows = []
    for ask in asks(seed, split)[: SIZES[split]]:
        completion, flaw = write(t, r, ask)
        rows.append((Demonstration(ask.prompt(t, split), completion, author="seal bay"), flaw))
    return tuple(rows)
