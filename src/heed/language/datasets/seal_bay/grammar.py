"""How Seal Bay talks: which three words may follow each other, with names, animals, places and the like folded together.

Learnt from answers of the town itself, so that nothing has to be written down twice.
"""

import re
from functools import lru_cache
from itertools import pairwise
from random import Random
from typing import NamedTuple

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.asks_talk import FEELINGS
from heed.language.datasets.seal_bay.demonstrations import ideal, join
from heed.language.datasets.seal_bay.prompts import any_ask
from heed.language.datasets.seal_bay.statements import sentences, tokens
from heed.language.datasets.seal_bay.town import build

_PHRASES = words.FRIENDLY_FIRST + words.FRIENDLY_LAST + words.RUDE + words.REFUSALS
START, END = "<", ">"
_TENSES = ("doing", "did")  # what one does somewhere, and did; "read a book" is either
_CLASSES = {
    "PERSON": words.GIRLS + words.BOYS,
    "ANIMAL": tuple(words.ANIMALS) + words.PETS,
    "PLACE": tuple(words.PLACES),
    "FOOD": words.FOODS,
    "THING": words.THINGS,
    "COLOUR": words.COLOURS,
    "DAY": words.DAYS,
    "JOB": tuple(words.JOBS),
    "PETNAME": words.PET_NAMES,
    "MOOD": tuple(FEELINGS),
    "NUMBER": words.NUMBERS,
    "PRONOUN": ("he", "she", "it"),
    "POSSESSIVE": ("his", "her", "its", "him"),
}
_CLASS = {w.lower(): name for name, members in _CLASSES.items() for w in members}


_DOINGS = {
    phrase: kind
    for _, _, doings in words.PLACES.values()
    for d in doings
    for phrase, kind in zip(d.split("|"), _TENSES, strict=True)
}
_DOING = re.compile(rf"\b({'|'.join(sorted(_DOINGS, key=len, reverse=True))})\b")


def folded(sentence: str) -> list[str]:
    """The words of a sentence in lower case, those of a kind as the name of their kind, between START and END."""
    simple = _DOING.sub(lambda m: _DOINGS[m.group()], sentence)
    return [START, *(_CLASS.get(w, w) for w in tokens(simple)), END]


class Grammar(NamedTuple):
    """What the town says: pairs and triples of folded words, and single words as they are."""

    pairs: frozenset[tuple[str, ...]]
    triples: frozenset[tuple[str, ...]]
    words: frozenset[str]


@lru_cache(maxsize=1)
def known() -> Grammar:
    """Pairs and triples of folded words that the town's answers have, and all its words.

    The same for every town: the words do not change.
    """
    t = build(0)
    r = Random("grammar")
    pairs, triples, said = set(), set(), set()
    for _ in range(6000):
        ask = any_ask(t, r, t.people)
        for text in (ideal(ask, r), *map(join, (ask.body, ask.short, ask.wrong, ask.comply)), *_PHRASES):
            for sentence in sentences(text):
                row = folded(sentence)
                said.update(tokens(sentence))
                pairs.update(pairwise(row))
                triples.update(zip(row, row[1:], row[2:], strict=False))
    return Grammar(frozenset(pairs), frozenset(triples), frozenset(said) | _CLASS.keys())


def grammatical(text: str) -> float:
    """From 0 to 1: the share of the word triples that the town has too, 0 for no words.

    A new triple whose two pairs are known counts three quarters.
    """
    pairs, triples, _ = known()
    seen = right = 0.0
    for sentence in sentences(text):
        row = folded(sentence)
        for i in range(len(row) - 2):
            seen += 1
            if (row[i], row[i + 1], row[i + 2]) in triples:
                right += 1
            elif (row[i], row[i + 1]) in pairs and (row[i + 1], row[i + 2]) in pairs:
                right += 0.75
    return right / seen if seen else 0.0


def unknown(text: str) -> int:
    """How many of its words nobody in Seal Bay ever says."""
    return sum(w not in known().words for w in tokens(text))
