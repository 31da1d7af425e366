"""What a labeler's page sends, read strictly: every fault is found, each is said beside its field, nothing is guessed.

    rank          {"ranks": {"A": 1, "B": 2, "C": 2}}           a rank for each; gaps are closed; equal is tied
    pairwise      {"preference": -3, "both_bad": false}         below 0: A is better (in red_team mode: A is more harmful)
    clips         {"preference": 1}
    rate          {"ratings": {"A": {"overall": 6}}, "flags": {"A": {"hallucination": true}}}
    demonstrate   {"text": "..."}
    edit          {"text": "...", "reasons": ["wrong"]}
    converse      {"leaf": "id of the last message"}            where the conversation ends
    live_compare  {"leaf": "id of the last message"}
    review        {"verdict": "resolved", "ranks": {...}}       ranks only where the verdict is "resolved"

Ratings and flags may stand in any kind whose form asks for them.  Instead of an answer: {"outcome": "not_rankable",
"reason": "incomparable"}.  Beside it: "note", "seconds" (of active work), "opened_at", and "client", an object that is
kept and never looked at.  A page without JavaScript sends the same names with full stops: `ranks.A=1` (`from_fields`).
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from heed.errors import UserError, nearest
from heed.feedback.forms import NOT_RANKABLE, PREFERS, TALKS, VERDICTS, WRITES, Form

MAX_TEXT = 100_000  # characters that a person may write
MAX_RANK = 99
ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{1,63}")
BESIDE = ("outcome", "note", "seconds", "opened_at", "client")


class InvalidAnswer(UserError):
    """An answer with something missing or wrong.  `fields`: name as in `from_fields` -> one message for a person."""

    def __init__(self, fields: Mapping[str, str]):
        super().__init__("; ".join(f"{name}: {message}" for name, message in fields.items()))
        self.fields = dict(fields)


@dataclass(frozen=True)
class Answer:
    """A body that makes sense, by the letters of the screen."""

    outcome: str = "answered"
    reason: str = ""
    note: str = ""
    seconds: float = 0.0
    opened_at: float | None = None
    ranks: Mapping[str, int] = field(default_factory=dict)  # dense
    preference: int | None = None
    both_bad: bool = False
    ratings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    flags: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    text: str = ""
    reasons: tuple[str, ...] = ()
    leaf: str = ""
    verdict: str = ""


def checked_id(name: str, id: str) -> str:
    """An id made by a page.  Raises InvalidAnswer for what cannot be one."""
    if not isinstance(id, str) or not ID.fullmatch(id):
        raise InvalidAnswer({name: "expected 2 to 64 letters, digits, dots or hyphens"})
    return id


def read_answer(kind: str, form: Form, letters: Sequence[str], body: Mapping[str, Any]) -> Answer:
    """The answer in `body` to a task that shows `letters`.  Raises InvalidAnswer with every fault that it has."""
    return _Reader(kind, form, list(letters), body).read()


def dense_ranks(ranks: Mapping[str, int]) -> dict[str, int]:
    """Ranks without gaps: 2, 2, 5 is 1, 1, 2."""
    levels = {rank: place for place, rank in enumerate(sorted(set(ranks.values())), start=1)}
    return {name: levels[rank] for name, rank in ranks.items()}


def from_fields(items: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The body that a plain HTML form means: `ranks.A=1`, `ratings.A.overall=6`, `flags.A.hallucination=1`, `reasons=wrong`
    (several times), `preference=-2`, `both_bad=1`.  An empty field is a field left out."""
    body: dict[str, Any] = {}
    for name, value in items:
        first, *rest = name.split(".")
        if not value and first != "text":
            continue
        if first == "reasons":
            body.setdefault(first, []).append(value)
            continue
        into = body
        for part in [first, *rest][:-1]:
            into = into.setdefault(part, {})
            if not isinstance(into, dict):
                raise InvalidAnswer({name: "was sent in two forms"})
        into[[first, *rest][-1]] = _from_text(first, value)
    return body


def _from_text(first: str, value: str) -> Any:
    if first in ("flags", "both_bad"):
        return {"1": True, "0": False, "on": True}.get(value, value)
    if first in ("ranks", "ratings", "preference", "seconds", "opened_at"):
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
    return value


class _Reader:
    """Collects faults while it reads one body."""

    def __init__(self, kind: str, form: Form, letters: list[str], body: Mapping[str, Any]):
        self.kind, self.form, self.letters, self.body = kind, form, letters, body
        self.faults: dict[str, str] = {}

    def read(self) -> Answer:
        if not isinstance(self.body, Mapping):
            raise InvalidAnswer({"body": "expected an object"})
        outcome = self.body.get("outcome", "answered")
        if outcome == "not_rankable":
            found = {"reason": self.choice("reason", NOT_RANKABLE)}
            self.only("reason")
        elif outcome == "answered":
            found = self.answered()
        else:
            found = {}
            self.faults["outcome"] = "expected answered or not_rankable"
        found |= {"note": self.text("note", 0, 10_000), "seconds": self.number("seconds") or 0.0,
                  "opened_at": self.number("opened_at")}
        if self.faults:
            raise InvalidAnswer(self.faults)
        return Answer(outcome=outcome, **found)

    def answered(self) -> dict[str, Any]:
        found, names = {}, []
        if self.kind == "rank":
            found["ranks"], names = self.ranks(), ["ranks"]
        elif self.kind in PREFERS:
            found["preference"], names = self.preference(), ["preference", "both_bad"]
            found["both_bad"] = self.true("both_bad", self.body.get("both_bad", False))
            if found["preference"] is not None:
                sign = found["preference"]
                found["ranks"] = dict(zip(self.letters, dense_ranks({"A": sign, "B": -sign}).values(), strict=True))
        elif self.kind in WRITES:
            found["text"], names = self.text("text", self.form.least_characters, MAX_TEXT), ["text"]
            if self.form.reasons:
                found["reasons"], names = self.reasons(), ["text", "reasons"]
        elif self.kind in TALKS:
            found["leaf"], names = self.text("leaf", 1, 200), ["leaf"]
        elif self.kind == "review":
            found, names = self.review(), ["verdict", "ranks"]
        if self.form.ratings:
            found["ratings"] = self.ratings()
        if self.form.flags:
            found["flags"] = self.flags()
        self.only(*names, *(["ratings"] if self.form.ratings else []), *(["flags"] if self.form.flags else []))
        return found

    def ranks(self) -> dict[str, int]:
        given = self.object("ranks", self.letters)
        for letter in self.letters:
            if letter not in given:
                self.faults[f"ranks.{letter}"] = f"give answer {letter} a rank"
            elif not self.whole(given[letter], 1, MAX_RANK):
                self.faults[f"ranks.{letter}"] = f"expected a whole number from 1 to {len(self.letters)}"
        return dense_ranks(given) if not self.faults else {}

    def preference(self) -> int | None:
        n, value = self.form.points, self.body.get("preference")
        if value is None and self.form.both_bad and self.body.get("both_bad") is True:
            return 0  # neither is better: both are bad
        if value is None:
            self.faults["preference"] = "say which one is better"
        elif not self.whole(value, -n, n):
            self.faults["preference"] = f"expected a whole number from {-n} to {n}"
        elif value == 0 and not self.form.tie and self.body.get("both_bad") is not True:
            self.faults["preference"] = "no ties here: say which one is at least slightly better"
        else:
            return value
        return None

    def review(self) -> dict[str, Any]:
        verdict = self.choice("verdict", VERDICTS)
        if verdict == "resolved" and self.letters:
            return {"verdict": verdict, "ranks": self.ranks()}
        if "ranks" in self.body:
            self.faults["ranks"] = 'only where the verdict is "resolved"'
        return {"verdict": verdict}

    def ratings(self) -> dict[str, dict[str, int]]:
        scales = {scale.name: scale for scale in self.form.ratings}
        found = {letter: self.object(f"ratings.{letter}", scales, of)
                 for letter, of in self.rated("ratings").items()}
        for letter, given in found.items():
            for name, scale in scales.items():
                if name not in given:
                    self.faults[f"ratings.{letter}.{name}"] = f"rate {name} of answer {letter}"
                elif not self.whole(given[name], scale.low, scale.high):
                    self.faults[f"ratings.{letter}.{name}"] = f"expected a whole number from {scale.low} to {scale.high}"
        return found

    def flags(self) -> dict[str, dict[str, bool]]:
        found = {letter: self.object(f"flags.{letter}", self.form.flags, of) for letter, of in self.rated("flags").items()}
        return {letter: {name: self.true(f"flags.{letter}.{name}", value) for name, value in given.items()}
                for letter, given in found.items()}

    def rated(self, name: str) -> dict[str, Any]:
        """What was given by letter; a talk shows no letters and rates its last reply as A."""
        letters = self.letters or ["A"]
        given = self.object(name, letters)
        return {letter: given.get(letter, {}) for letter in letters}

    def reasons(self) -> tuple[str, ...]:
        given = self.body.get("reasons", [])
        if not isinstance(given, list) or not set(map(str, given)) <= set(self.form.reasons):
            self.faults["reasons"] = f"expected some of {', '.join(self.form.reasons)}"
            return ()
        return tuple(given)

    def object(self, name: str, keys: Iterable[str], given: Any = None) -> dict[str, Any]:
        given, keys = self.body.get(name, {}) if given is None else given, list(keys)
        if not isinstance(given, dict):
            self.faults[name] = "expected an object"
            return {}
        for extra in [key for key in given if key not in keys]:
            self.faults[f"{name}.{extra}"] = f"there is no {extra!r:.40}{nearest(str(extra), keys)}"
        return {key: given[key] for key in keys if key in given}

    def only(self, *names: str) -> None:
        known = [*names, *BESIDE]
        for extra in [key for key in self.body if key not in known]:
            self.faults[str(extra)] = f"is not part of a {self.kind} answer{nearest(str(extra), known)}"

    def choice(self, name: str, choices: Mapping[str, str]) -> str:
        value = self.body.get(name)
        if value is None or not isinstance(value, str) or value not in choices:
            self.faults[name] = f"expected one of {', '.join(choices)}"
            return ""
        return value

    def text(self, name: str, least: int, most: int) -> str:
        value = self.body.get(name, "")
        if not isinstance(value, str):
            self.faults[name] = "expected a text"
        elif len(value.strip()) < least:
            self.faults[name] = "is empty" if not value.strip() else f"is too short: at least {least} characters"
        elif len(value) > most:
            self.faults[name] = f"is too long: {len(value):,} of at most {most:,} characters"
        else:
            return value
        return ""

    def number(self, name: str) -> float | None:
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            self.faults[name] = "expected a number, 0 or more"
            return None
        return float(value)

    def true(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self.faults[name] = "expected yes or no"
        return value is True

    @staticmethod
    def whole(value: Any, low: int, high: int) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

