"""What a labeler fills in: a form for each kind of task, with the scales and flags of InstructGPT (Ouyang et al. 2022,
table 3 and appendix B.5) and the signed scale of HH (Bai et al. 2022).  A version of the instructions may change a form.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from heed.errors import UserError, nearest
from heed.feedback.schema import KINDS

LETTERS = "ABCDEFGHI"  # how answers are called on the screen, in the order in which they are shown
# How many things a task of a kind puts side by side: at least, at most.
ITEMS = {"rank": (2, 9), "pairwise": (2, 2), "rate": (1, 9), "demonstrate": (0, 0), "converse": (0, 0),
         "live_compare": (0, 0), "edit": (1, 1), "clips": (2, 2), "review": (0, 9)}  # fmt: skip
PREFERS = ("pairwise", "clips")  # answered by one number on a signed scale
RANKED = ("rank", *PREFERS)  # answers become rankings of the task's own items
TALKS = ("converse", "live_compare")  # a conversation grows in the task
WRITES = ("demonstrate", "edit")  # answered by a text
LEASE_SECONDS = {kind: 3600.0 if kind in TALKS + WRITES else 900.0 for kind in KINDS}
FLAGS = {
    "wrong_task": "Fails to follow the correct instruction or task",
    "inappropriate": "Inappropriate for a customer assistant",
    "hallucination": "Hallucination",
    "constraint": "Satisfies the constraint given in the instruction",
    "sexual": "Contains sexual content",
    "violent": "Contains violent content",
    "encourages_harm": "Encourages, or fails to discourage, violence, abuse, terrorism or self-harm",
    "denigrates": "Denigrates a protected class",
    "harmful_advice": "Gives harmful advice",
    "opinion": "Expresses an opinion",
    "moral_judgement": "Expresses a moral judgement",
}
SKIP_REASONS = {
    "unclear": "I do not understand what is asked",
    "expertise": "I do not know enough about it",
    "language": "It is in a language that I do not read well",
    "distressing": "I would rather not read this",
    "broken": "Something is broken or missing",
    "other": "Something else",
}
NOT_RANKABLE = {
    "incomparable": "They cannot be compared",
    "nonsense": "The prompt makes no sense",
    "all_unacceptable": "None of them is acceptable",
    "cannot_tell": "I cannot tell",
    "other": "Something else",
}
VERDICTS = {
    "resolved": "One order is right, and I give it",
    "ambiguous": "Reasonable people may differ",
    "broken": "The task is at fault",
}


@dataclass(frozen=True)
class Scale:
    """One dimension of a rating: whole numbers from `low` to `high`, both ends said in words."""

    name: str
    low: int = 1
    high: int = 7
    worst: str = ""
    best: str = ""


@dataclass(frozen=True)
class Form:
    """What there is to fill in.  A part that is empty, or 0, is not asked for."""

    ratings: tuple[Scale, ...] = ()  # each is required for every item (in a talk: for the last reply)
    flags: tuple[str, ...] = ()  # yes, no or not looked at; names from FLAGS, or words of your own
    points: int = 0  # a preference goes from -points to points
    tie: bool = True  # whether 0 may be chosen
    both_bad: bool = False
    reasons: tuple[str, ...] = ()  # why an answer was edited
    least_characters: int = 1  # of what is written
    warning: str = ""  # what may upset in these texts; said before the first of them, and the texts are blurred


DEFAULTS = {
    "rank": Form(),
    "pairwise": Form(points=4, both_bad=True),
    "rate": Form(ratings=(Scale("overall", worst="very bad", best="very good"),), flags=tuple(FLAGS)),
    "demonstrate": Form(),
    "converse": Form(),
    "live_compare": Form(points=4, tie=False),
    "edit": Form(reasons=("wrong", "unsafe", "unclear", "style", "too long", "too short")),
    "clips": Form(points=1),
    "review": Form(),
}


def form_of(kind: str, changes: str | None = None) -> Form:
    """The form of a kind with `changes`, the JSON of a version of its instructions.

    Raises UserError for a part that does not exist or makes no sense.
    """
    check_kind(kind)
    form = DEFAULTS[kind]
    try:
        given = json.loads(changes or "{}")
        if not isinstance(given, dict):
            raise ValueError("expected an object")
        known = {field.name for field in fields(Form)}
        for name in given:
            if name not in known:
                raise UserError(f"form of {kind}: unknown part {name!r}{nearest(name, known)}")
        if "ratings" in given:
            given["ratings"] = tuple(Scale(**scale) for scale in given["ratings"])
        given |= {name: tuple(map(str, given[name])) for name in ("flags", "reasons") if name in given}
        form = replace(form, **given)
    except (ValueError, TypeError) as error:
        raise UserError(f"form of {kind}: {error}") from None
    _check(kind, form)
    return form


def check_kind(kind: str) -> None:
    """Raises UserError for a kind of task that does not exist."""
    if kind not in KINDS:
        raise UserError(f"unknown kind of task {kind!r}{nearest(str(kind), KINDS)}")


def _check(kind: str, form: Form) -> None:
    whole = {"points": (form.points, 0, 9), "least_characters": (form.least_characters, 0, 100_000)}
    for scale in form.ratings:
        if not isinstance(scale.name, str) or not scale.name or "." in scale.name:
            raise UserError(f"form of {kind}: {scale.name!r} cannot name a scale; expected a word without a full stop")
        whole |= {f"{scale.name}: low": (scale.low, 0, 9), f"{scale.name}: high": (scale.high, 1, 10)}
        if not isinstance(scale.low, str) and scale.low == scale.high:
            raise UserError(f"form of {kind}: {scale.name} goes from {scale.low} to {scale.high}")
    for name, (value, low, high) in whole.items():
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise UserError(f"form of {kind}: {name} is {value!r}; expected a whole number from {low} to {high}")
    if kind in (*PREFERS, "live_compare") and not form.points:
        raise UserError(f"form of {kind}: points is 0; expected at least 1 step on each side")
    if not isinstance(form.warning, str):
        raise UserError(f"form of {kind}: warning is {form.warning!r}; expected words")
    if any("." in flag or not flag for flag in form.flags):
        raise UserError(f"form of {kind}: a flag is a word without a full stop")


def merged(kind: str, changes: Mapping[str, Any]) -> str:
    """`changes` as they are kept, checked."""
    text = json.dumps(dict(changes), ensure_ascii=False)
    form_of(kind, text)
    return text
