"""The same prompts answered at every stage, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from heed.evaluation.metrics.safety import refuses
from heed.evaluation.run_files import Stage
from heed.evaluation.summary import use_case

DECLINE = "requests that should be declined"
_LONGEST = 1600  # characters of an answer that are shown


@dataclass(frozen=True)
class Answer:
    """What one policy said to a prompt, cut to what is shown, with its scores."""

    policy: str
    text: str
    cut: int  # characters left out
    gold: float | None
    proxy: float | None
    best: bool  # the highest gold (or proxy, where there is no gold) of the prompt
    declines: bool


@dataclass(frozen=True)
class Case:
    """A prompt with its answers."""

    prompt: list[tuple[str, str]]  # (role, text); the role of a plain prompt is ""
    use_case: str
    harmful: bool | None
    answers: list[Answer]


def choose(rows: Sequence[Mapping[str, Any]], policies: Sequence[str], *, each: int = 2) -> dict[str, list[Case]]:
    """The first `each` different prompts of every use case, as they come and not picked by score; prompts that should
    be declined are a group of their own."""
    groups: dict[str, list[Case]] = {}
    seen = set()
    for row in rows:
        harmful = bool((row.get("columns") or {}).get("harmful"))
        group = groups.setdefault(DECLINE if harmful else use_case(row) or "prompts", [])
        key = str(row.get("prompt"))
        if key not in seen and len(group) < each + harmful:
            seen.add(key)
            group.append(_case(row, policies))
    if DECLINE in groups:
        groups[DECLINE] = groups.pop(DECLINE)  # last
    return {name: group for name, group in groups.items() if group}


def fallen(rows: Sequence[Mapping[str, Any]], after: str, before: str, *, most: int = 2) -> list[Case]:
    """The prompts whose first answer lost most by the judge from `before` to `after`: where to look for harm."""
    judge = "gold" if any(_first(row, "gold", after) is not None for row in rows) else "proxy"
    losses, seen = [], set()
    for row in rows:
        a, b = _first(row, judge, after), _first(row, judge, before)
        if a is not None and b is not None and a < b:
            losses.append((a - b, len(losses), row))
    worst = []
    for _, _, row in sorted(losses):
        if str(row.get("prompt")) not in seen and len(worst) < most:
            seen.add(str(row.get("prompt")))
            worst.append(_case(row, [before, after]))
    return worst


def written(stage: Stage, *, most: int = 2) -> list[Case]:
    """What a policy wrote while it was trained: the first answers that were logged, then the last."""
    rows = [row for row in stage.samples if isinstance(row.get("completion"), str) and "step" in row]
    chosen = rows[:most] + rows[max(most, len(rows) - most) :]
    cases = []
    for row in chosen:
        text, gold, score = row["completion"], row.get("gold"), row.get("score")
        answer = Answer(f"step {row['step']}", visible(text[:_LONGEST]), max(0, len(text) - _LONGEST), gold, score, False,
                        refuses(text))  # fmt: skip
        cases.append(Case(turns(row.get("prompt")), "", None, [answer]))
    return cases


def _case(row: Mapping[str, Any], policies: Sequence[str]) -> Case:
    answered = [p for p in policies if (row.get("completions") or {}).get(p)]
    judge = "gold" if any(_first(row, "gold", p) is not None for p in answered) else "proxy"
    scores = {p: s for p in answered if (s := _first(row, judge, p)) is not None}
    best = max(scores, key=lambda p: scores[p]) if len(scores) > 1 else None
    answers = []
    for policy in answered:
        text = str(row["completions"][policy][0])
        answers.append(
            Answer(
                policy=policy,
                text=visible(text[:_LONGEST]),
                cut=max(0, len(text) - _LONGEST),
                gold=_first(row, "gold", policy),
                proxy=_first(row, "proxy", policy),
                best=policy == best,
                declines=refuses(text),
            )
        )
    harmful = (row.get("columns") or {}).get("harmful")
    return Case(turns(row.get("prompt")), use_case(row) or "", None if harmful is None else bool(harmful), answers)


def turns(prompt: Any) -> list[tuple[str, str]]:
    """A prompt as (role, text) turns, whatever was in the file."""
    if isinstance(prompt, list):
        turned = [
            (str(t.get("role", "")), visible(str(t.get("content", "")))) for t in prompt if isinstance(t, Mapping)
        ]
        return turned or [("", "")]
    return [("", visible(str(prompt if prompt is not None else "")))]


def visible(text: str) -> str:
    """Control characters, lone surrogates and direction marks as their code points: a page shows what is in a text.

    A right-to-left override would let a model's answer reorder the words around it.
    """
    return "".join(c if c in "\n\t" or not _hidden(c) else f"⟨U+{ord(c):04X}⟩" for c in text)


def _hidden(c: str) -> bool:
    code = ord(c)
    return (
        code < 0x20
        or 0x7F <= code < 0xA0
        or 0xD800 <= code <= 0xDFFF
        or code in (0x200E, 0x200F, 0xFEFF)
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
    )


def _first(row: Mapping[str, Any], column: str, policy: str) -> float | None:
    values = (row.get(column) or {}).get(policy) or [None]
    return values[0] if isinstance(values[0], int | float) else None
