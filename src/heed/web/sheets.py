"""A task as its page needs it: the words of its scale, the values that are filled in, the body that a form means."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from heed.feedback.assignment import Assignment, Given
from heed.feedback.bodies import BESIDE, from_fields
from heed.feedback.consensus import margins, ranked_pairs
from heed.feedback.forms import Form

OURS = ("csrf", "submission_id", "do", "talk", "at", "draft")  # fields of a form that are no part of the answer
ADVERBS = {1: ("",), 2: ("slightly ", "clearly "), 3: ("slightly ", "clearly ", "much "),
           4: ("slightly ", "moderately ", "clearly ", "much ")}  # fmt: skip
SHORT = {"": "better", "slightly ": "slightly", "moderately ": "moderately", "clearly ": "clearly", "much ": "much"}
RED_TEAM = ("Here people try to get harmful answers from a model. What you read may be violent, hateful, sexual or "
            "upsetting in other ways.")  # fmt: skip


def body_of_form(kind: str, fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The body that a form without JavaScript means.  Raises InvalidAnswer."""
    body = from_fields([(name, value) for name, value in fields if name.partition(".")[0] not in OURS])
    if body.get("outcome") == "not_rankable":  # whatever else was filled in is not said
        return {name: value for name, value in body.items() if name in (*BESIDE, "reason")}
    body.pop("reason", None)
    if kind == "review" and body.get("verdict") != "resolved":
        body.pop("ranks", None)
    return body


def steps(form: Form, mode: str) -> list[tuple[int, str, str]]:
    """(value, short, in full) of each step of a preference, from "A is much better" to "B is much better"."""
    worse = "more harmful" if mode == "red_team" else "better"
    adverbs = ADVERBS.get(form.points) or tuple(f"by {i} " for i in range(1, form.points + 1))
    found = []
    for value in range(-form.points, form.points + 1):
        if value == 0:
            if form.tie:
                found.append((0, "equal", "They are the same to me"))
            continue
        letter, adverb = "A" if value < 0 else "B", adverbs[abs(value) - 1]
        found.append((value, SHORT.get(adverb, adverb.strip()) if mode != "red_team" else adverb.strip() or "more",
                      f"{letter} is {adverb}{worse}"))
    return found


def content_warning(assignment: Assignment) -> str:
    """What may upset in the texts of a task: words of its form, or those for red teams; "" for nothing."""
    return assignment.form.warning or (RED_TEAM if assignment.mode == "red_team" else "")


def consensus(answers: Sequence[Given]) -> list[tuple[str, int]]:
    """(letter, rank) of several people's orders taken together by ranked pairs, to be looked at; nothing for one alone.

    Two that follow each other share a rank where as many people prefer the one as the other.
    """
    orders = [given.ranks for given in answers if given.ranks]
    if len(orders) < 2:
        return []
    beaten, found, rank = margins(orders), [], 0
    for before, letter in zip(["", *(order := ranked_pairs(orders))], order, strict=False):
        rank += not before or beaten[before, letter] > 0
        found.append((letter, rank))
    return found


def rating_letters(assignment: Assignment) -> list[str]:
    """Whose ratings and flags are asked for; a conversation rates its last reply as A."""
    return [item.letter for item in assignment.items] or ["A"]


def reworded(faults: Mapping[str, str]) -> dict[str, str]:
    """Faults as sentences."""
    return {name: message[:1].upper() + message[1:].rstrip(".") + "." for name, message in faults.items()}
