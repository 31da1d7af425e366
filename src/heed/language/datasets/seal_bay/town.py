"""A town from a seed: who lives there, what they do, and what is true of it.

The words are the same in every town; who has which job, home, pet and food is not.
"""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from heed.language.datasets.seal_bay import words

HELD_OUT = 3  # people who are in the texts and in test prompts, and never in training prompts
PEOPLE = 12


@dataclass(frozen=True)
class Place:
    """Somewhere; printed as "the mill", and `at` is "by the mill"."""

    word: str
    prep: str
    sight: str
    doings: tuple[tuple[str, str], ...]  # (swim, swam)
    day: str  # when it is busy

    @property
    def at(self) -> str:
        return f"{self.prep} the {self.word}"

    def __str__(self) -> str:
        return f"the {self.word}"


@dataclass(frozen=True)
class Person:
    """Somebody who lives in town; printed as the name."""

    word: str
    he: str
    him: str
    his: str
    job: str
    home: Place
    pet: str
    food: str
    held_out: bool

    @property
    def a(self) -> str:
        return self.word

    @property
    def He(self) -> str:
        return self.he.capitalize()

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True)
class Animal:
    """The one animal of its kind; printed as "the bear", and `a` is "a bear"."""

    word: str
    home: Place
    food: str
    colour: str
    size: int  # rank from small to big
    he: str = "it"
    him: str = "it"
    his: str = "its"

    He: str = "It"

    @property
    def a(self) -> str:
        return a(self.word)

    def __str__(self) -> str:
        return f"the {self.word}"


@dataclass(frozen=True)
class Town:
    """Everything that is so in Seal Bay.  `facts[subject][relation]` is the one true value, in lower case."""

    seed: int
    people: tuple[Person, ...]
    animals: tuple[Animal, ...]
    places: tuple[Place, ...]
    facts: dict[str, dict[str, str]]

    @property
    def known(self) -> tuple[Person, ...]:
        return tuple(p for p in self.people if not p.held_out)

    @property
    def strangers(self) -> tuple[Person, ...]:
        return tuple(p for p in self.people if p.held_out)

    def place(self, word: str) -> Place:
        return next(p for p in self.places if p.word == word)

    def animal(self, word: str) -> Animal:
        return next(x for x in self.animals if x.word == word)


def a(noun: str) -> str:
    """The noun with a or an."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


@lru_cache(maxsize=8)
def build(seed: int) -> Town:
    """The town of this seed; the same seed always gives the same town."""
    r = Random(f"seal bay {seed}")
    days = _spread(r, words.DAYS, len(words.PLACES))
    places = {}
    for (word, (prep, sight, doings)), day in zip(words.PLACES.items(), days, strict=True):
        pairs = tuple(tuple(d.split("|")) for d in doings)
        places[word] = Place(word, prep, sight, pairs, day)
    animals = tuple(
        Animal(word, places[r.choice(homes.split())], r.choice(foods.split()), r.choice(colours.split()), size)
        for size, (word, (homes, foods, colours)) in enumerate(words.ANIMALS.items())
    )
    people = _people(r, places)
    facts = {p.word.lower(): {"job": p.job, "home": p.home.word, "pet": p.pet, "food": p.food} for p in people}
    facts |= {x.word: {"home": x.home.word, "food": x.food, "colour": x.colour} for x in animals}
    facts |= {p.word: {"day": p.day.lower()} for p in places.values()}
    return Town(seed, people, animals, tuple(places.values()), facts)


def _people(r: Random, places: dict[str, Place]) -> tuple[Person, ...]:
    half = PEOPLE // 2
    names = [(n, "she", "her", "her") for n in r.sample(words.GIRLS, half)]
    names += [(n, "he", "him", "his") for n in r.sample(words.BOYS, half)]
    r.shuffle(names)
    columns = zip(
        names,
        _spread(r, tuple(words.JOBS), PEOPLE),
        _spread(r, words.PEOPLE_LIVE, PEOPLE),
        _spread(r, words.PETS, PEOPLE),
        _spread(r, words.FOODS, PEOPLE),
        strict=True,
    )
    return tuple(
        Person(*name, job, places[home], pet, food, held_out=i >= PEOPLE - HELD_OUT)
        for i, (name, job, home, pet, food) in enumerate(columns)
    )


def _spread(r: Random, values: tuple[str, ...], n: int) -> list[str]:
    """n of `values` in random order, each about equally often: every job is done by somebody."""
    many = [values[i % len(values)] for i in range(n)]
    r.shuffle(many)
    return many


def describe(seed: int = 0) -> str:
    """The town in a page of plain English, for a person who wants to know who lives there."""
    t = build(seed)
    lines = [f"Seal Bay (seed {seed}): {len(t.people)} people, {len(t.animals)} animals, {len(t.places)} places."]
    for p in t.people:
        far = "  (never in training prompts)" if p.held_out else ""
        lines.append(f"{p} is a {p.job}, lives {p.home.at}, has a {p.pet} and loves {p.food}.{far}")
    lines += [f"The {x.colour} {x.word} lives {x.home.at} and eats {x.food}." for x in t.animals]
    lines += [f"The {p.word} is busy on {p.day}; one can see {p.sight} and {p.doings[0][0]} there." for p in t.places]
    return "\n".join(lines)
