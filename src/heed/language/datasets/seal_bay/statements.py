"""What a text claims of the town: a reader for the few ways in which a fact is put here.

Only the present tense claims something ("Ann has a dog"); a tale ("Ann had a dog") may tell what it likes.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from heed.language.datasets.seal_bay import words
from heed.language.datasets.seal_bay.town import Town

_SENTENCE = re.compile(r"[^.!?\n]*[.!?]+\"?|[^.!?\n]+")
_WORD = re.compile(r"[a-z]+")
_DOINGS = {does: job for job, does in words.JOBS.items()}
_DOMAINS = {
    "job": frozenset(words.JOBS),
    "home": frozenset(words.PLACES),
    "pet": frozenset(words.PETS),
    "day": frozenset(d.lower() for d in words.DAYS),
    "colour": frozenset(words.COLOURS),
}


class Claim(NamedTuple):
    """A text says `value` of `subject`; all in lower case."""

    subject: str
    relation: str
    value: str
    true: bool


def sentences(text: str) -> list[str]:
    """The sentences of a text, in lower case and without white space around them; empty ones are left out."""
    return [s for s in (m.group().strip().lower() for m in _SENTENCE.finditer(text)) if _WORD.search(s)]


def tokens(sentence: str) -> list[str]:
    """The words of a text, in lower case and without marks."""
    return _WORD.findall(sentence.lower())


@lru_cache(maxsize=8)
def _foods(kind: str) -> frozenset[str]:
    if kind == "person":
        return frozenset(words.FOODS)
    return frozenset(f for _, foods, _ in words.ANIMALS.values() for f in foods.split())


def claims(text: str, town: Town) -> list[Claim]:
    """Every claim that `text` makes of somebody in town, true or false, each once.

    he, she and it are whoever the sentence before was about; you and your are whoever was greeted with Dear.
    """
    found: dict[Claim, None] = {}
    last = dear = None
    for sentence in sentences(text):
        subject = speaker = None
        row = tokens(sentence)
        for i, word in enumerate(row):
            if word in town.facts:
                speaker = word
                subject = subject or word
                dear = word if i and row[i - 1] == "dear" else dear
            elif word in ("i", "we", "they", "who"):
                speaker = None
            elif word in ("he", "she", "it"):
                speaker = last
                subject = subject or speaker
            elif word in ("you", "your"):
                speaker = dear
            if speaker and (claim := _claim(row, i, speaker, town)):
                found[claim] = None
        last = subject or last
    return list(found)


_RELATIONS = {"is": "job", "lives": "home", "busy": "day", "eats": "food"}
_RELATIONS |= {"has": "pet", "keeps": "pet", "your": "pet", "loves": "food", "likes": "food", "love": "food"}
_SMALL = frozenset(_WORD.findall("a an the to eat in on at by"))


def _claim(row: list[str], i: int, who: str, town: Town) -> Claim | None:
    """What the word at row[i] says of `who`, where what follows is of a kind that can be checked."""
    value = next((w for w in row[i + 1 : i + 5] if w not in _SMALL), "")
    relation = _RELATIONS.get(row[i])
    does = " ".join(row[i : i + 3])
    if job := next((job for d, job in _DOINGS.items() if does.startswith(d)), None):
        relation, value = "job", job
    elif row[i] == "is" and value in _DOMAINS["colour"]:
        relation = "colour"
    true = town.facts[who].get(relation)
    kind = "person" if "job" in town.facts[who] else "animal"
    domain = _foods(kind) if relation == "food" else _DOMAINS.get(relation, frozenset())
    if true is None or value not in domain:
        return None
    return Claim(who, relation, value, value == true)
