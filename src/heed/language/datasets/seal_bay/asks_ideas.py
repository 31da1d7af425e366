"""Brainstorming: so many ideas for this or that."""

from collections.abc import Sequence
from random import Random

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.ask import Ask, task
from heed.language.datasets.seal_bay.asks_write import steps_of
from heed.language.datasets.seal_bay.tales import capital, fact, listed, say
from heed.language.datasets.seal_bay.town import Town, a

IDEAS = "brainstorming"
KIND_DEEDS = ("share your food", "help with the work", "say thank you", "sing a song", "tell a story", "listen well")


def _ideas(r: Random, forms: str, ideas: Sequence[str], n: int, word: str, **slots) -> tuple[tuple[str], tuple[str]]:
    """The answer with n ideas, and the one that stops early."""
    chosen, form = r.sample(ideas, n), r.choice(forms.split("|"))
    full, short = (form.format_map(slots | {"list": listed(chosen[:k], word)}) for k in (n, max(1, n - 2)))
    return (full,), (short,)


def things_to_do(t: Town, r: Random, people) -> Ask:
    p, n, who = r.choice(t.places), r.choice((2, 3, 3)), r.choice(people)
    forms = (
        "Give me {n} things to do {p.at}.|What can I do {p.at} with {w}? Name {n} things.|{w} wants {n} ideas for a day {p.at}."
    )
    doings = [now for now, _ in p.doings]
    about = task([p.word], items=doings, want=n)
    full, short = _ideas(r, "You can {list} {p.at}.|{P}, you can {list}.", doings, n, "or", p=p, P=capital(p.at))
    turn = say(r, forms, n=words.NUMBERS[n], p=p, w=who)
    return Ask(IDEAS, (turn,), ("do", turn), about, full, short, extra=fact(r, p, "day"))


def gifts(t: Town, r: Random, people) -> Ask:
    who, n = r.choice(people), r.choice((2, 3, 3))
    forms = (
        "Give me {n} ideas for a gift for {w}.|Name {n} gifts for {w}.|What can I give {w}? Name {n} things.|"
        "{w} has a birthday. Give me {n} ideas for a gift."
    )
    about = task([who.word], items=words.THINGS, want=n)
    full, short = _ideas(r, "You could give {w} {list}.|{w} would like {list}.", [a(x) for x in words.THINGS], n, "or", w=who)
    turn = say(r, forms, n=words.NUMBERS[n], w=who)
    return Ask(IDEAS, (turn,), ("gift", who.word, str(n)), about, full, short, extra=fact(r, who, "food"))


def picnic(t: Town, r: Random, people) -> Ask:
    who, p, n = r.choice(people), r.choice(t.places), r.choice((2, 3, 3))
    forms = "Name {n} foods to eat {p.at} with {w}.|{w} and I will eat {p.at}. Give me {n} ideas for food."
    about = task([who.word], items=words.FOODS, want=n)
    full, short = _ideas(r, "You and {w} could eat {list}.|You could bring {list} for {w}.", words.FOODS, n, "and", w=who)
    turn = say(r, forms, n=words.NUMBERS[n], p=p, w=who)
    return Ask(IDEAS, (turn,), ("picnic", who.word, p.word), about, full, short, extra=fact(r, who, "food"))


def pet_names(t: Town, r: Random, people) -> Ask:
    who, pet, n = r.choice(people), r.choice(words.PETS), r.choice((2, 3))
    forms = "Give me {n} names for a {x}.|{w} has a new {x}. Give me {n} names for it.|What is a good name for a {x}? Name {n}."
    about = task([pet], items=words.PET_NAMES, want=n)
    answers = "Good names for a {x} are {list}.|You could call the {x} {list}."
    full, short = _ideas(r, answers, words.PET_NAMES, n, "or", x=pet)
    turn = say(r, forms, n=words.NUMBERS[n], x=pet, w=who)
    return Ask(IDEAS, (turn,), ("names", turn), about, full, short)


def be_kind(t: Town, r: Random, people) -> Ask:
    who, n = r.choice(people), r.choice((2, 3, 3))
    forms = "Give me {n} ways to be kind to {w}.|How can I be nice to {w}? Name {n} ways.|{w} is sad. Give me {n} ways to help."
    about = task([who.word], items=KIND_DEEDS, want=n)
    full, short = _ideas(r, "You could {list} for {w}.|To be kind to {w}, {list}.", KIND_DEEDS, n, "or", w=who)
    turn = say(r, forms, n=words.NUMBERS[n], w=who)
    return Ask(IDEAS, (turn,), ("kind", who.word, str(n)), about, full, short, extra=fact(r, who, "food"))


def look_alike_idea(t: Town, r: Random, people) -> Ask:
    key = r.choice(tuple(words.LOOK_ALIKES))
    forms = "Give me three steps to {do}.|Give me ideas on how to {do}.|Name three things to do to {do}."
    return steps_of(key, forms, IDEAS, r, r.choice(people), look_alike=True)


BRAINSTORM = ((things_to_do, 4), (gifts, 4), (picnic, 3), (pet_names, 2), (be_kind, 3), (look_alike_idea, 1))
