"""From the rows of an evaluation to its final figures: the evaluate workflow samples and scores, this counts.

A row is one held-out prompt, as in the samples.jsonl of an evaluate stage:
{"prompt_id", "prompt", "columns", "completions": {policy: [texts]}, "gold" | "proxy" | "kl" | "tokens": {policy: [numbers]}}.
A judge's None (it had nothing to say) leaves that sample out; NaN and infinity are errors.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from heed.errors import RunError, UserError
from heed.evaluation.estimate import Estimate, Rows
from heed.evaluation.metrics.length_control import length_controlled_win_rate
from heed.evaluation.metrics.means import difference, mean
from heed.evaluation.metrics.safety import refusals, refuses
from heed.evaluation.metrics.text import distinct, repetition, unique_answers
from heed.evaluation.metrics.winning import win_rate

Row = Mapping[str, Any]
Summary = dict[str, dict[str, float]]
JUDGES = ("gold", "proxy")
MEANS = {"gold": "gold", "proxy": "proxy", "kl": "kl", "length": "tokens"}  # figure: where its numbers are in a row


def summarise(
    rows: Iterable[Row], *, declines: Callable[[str], bool] = refuses, against: str | None = None, seed: int = 0
) -> Summary:
    """Final figures by name, each {"value", "low", "high", "n"}, ready for summary.json.

        gold/ppo  proxy/ppo  kl/ppo  length/ppo      means over samples
        win_rate/gold/ppo_vs_sft[/<use case>]        every later policy against every earlier one, by each judge
        length_controlled/gold/ppo_vs_sft            the same at equal length, where "tokens" are there
        difference/gold/ppo_vs_sft                   of the means, paired by prompt
        refusal/ppo/harmful|benign|balanced          where the columns have "harmful"; `declines` reads a completion
        distinct_2/ppo  repetition/ppo  unique/ppo   how varied the answers are

    `against` names the one policy that the others are compared with; by default every two are compared.
    What was not measured has no entry.  The use case is the column "use_case".  Raises RunError for scores that are
    not finite and UserError where there are no rows.
    """
    rows = list(rows)
    policies = policies_of(rows)
    result: Summary = {}
    for figure, column in MEANS.items():
        for policy in policies:
            values, ids = _column(rows, column, policy)
            if values:
                result[f"{figure}/{policy}"] = mean(values, ids, seed=seed).summary()
    for judge in JUDGES:
        for before, after in combinations(policies, 2):
            if against and against not in (before, after):
                continue
            before, after = (after, before) if after == against else (before, after)
            result |= _compared(rows, judge, after, before, seed)
    for policy in policies:
        result |= _refusals(rows, policy, declines, seed)
        result |= _variety(rows, policy, seed)
    return result


def policies_of(rows: Sequence[Row]) -> list[str]:
    """The policies that answered, in the order of the first row."""
    if not rows:
        raise UserError("no rows to summarise: the evaluation has no held-out prompts")
    return list(dict.fromkeys(policy for row in rows for policy in row.get("completions", {})))


def use_cases(rows: Sequence[Row]) -> list[str]:
    """The use cases that occur, in order of appearance; a row without one has none."""
    return list(dict.fromkeys(str(row["columns"]["use_case"]) for row in rows if _has(row, "use_case")))


def use_case(row: Row) -> str | None:
    """The use case of a row, from its columns."""
    return str(row["columns"]["use_case"]) if _has(row, "use_case") else None


def _has(row: Row, column: str) -> bool:
    return (row.get("columns") or {}).get(column) is not None


def _column(rows: Sequence[Row], column: str, policy: str) -> tuple[list[list[float]], list[str]]:
    """The numbers of one policy, a list a prompt, with their prompt ids; prompts without any are left out."""
    found = [(_numbers(row, column, policy), row["prompt_id"]) for row in rows]
    return [values for values, _ in found if values], [i for values, i in found if values]


def _numbers(row: Row, column: str, policy: str) -> list[float]:
    return [v for v in (row.get(column) or {}).get(policy) or [] if v is not None]


def _compared(rows: Sequence[Row], judge: str, after: str, before: str, seed: int) -> Summary:
    """Win rates and the paired difference of `after` against `before`, overall and a use case."""
    both = [row for row in rows if _numbers(row, judge, after) and _numbers(row, judge, before)]
    if not both:
        return {}
    name = f"{after}_vs_{before}"
    result = {f"win_rate/{judge}/{name}": _won(both, judge, after, before, seed)}
    for case in use_cases(both):
        chosen = [row for row in both if use_case(row) == case]
        result[f"win_rate/{judge}/{name}/{case}"] = _won(chosen, judge, after, before, seed)
    a, b, ids = _paired(both, judge, after, before)
    result[f"difference/{judge}/{name}"] = difference(a, b, ids, seed=seed).summary()
    lengths = [row for row in both if all(_complete(row, judge, policy) for policy in (after, before))]
    if lengths:
        a, b, ids = _paired(lengths, judge, after, before)
        long_a, long_b, _ = _paired(lengths, "tokens", after, before)
        controlled = length_controlled_win_rate(*_same_samples(a, b, long_a, long_b), ids)
        result[f"length_controlled/{judge}/{name}"] = controlled.rate.summary()
    return result


def _won(rows: Sequence[Row], judge: str, after: str, before: str, seed: int) -> dict[str, float]:
    a, b, ids = _paired(rows, judge, after, before)
    won = win_rate(a, b, ids, seed=seed)
    return {**won.rate.summary(), "p": won.p_value}


def _paired(rows: Sequence[Row], column: str, after: str, before: str) -> tuple[Rows, Rows, list[str]]:
    return (
        [_numbers(r, column, after) for r in rows],
        [_numbers(r, column, before) for r in rows],
        [r["prompt_id"] for r in rows],
    )


def _complete(row: Row, judge: str, policy: str) -> bool:
    """Does every sample have a score and a length?"""
    return len(_numbers(row, judge, policy)) == len(_numbers(row, "tokens", policy)) == len(row["completions"][policy])


def _same_samples(*columns: Rows) -> tuple[list[list[float]], ...]:
    """Cut the samples of each prompt to the fewest that any column has."""
    fewest = [min(map(len, row)) for row in zip(*columns, strict=True)]
    return tuple([row[:n] for row, n in zip(column, fewest, strict=True)] for column in columns)


def _refusals(rows: Sequence[Row], policy: str, declines: Callable[[str], bool], seed: int) -> Summary:
    asked = [row for row in rows if _has(row, "harmful") and row["completions"].get(policy)]
    if not asked:
        return {}
    refused = [[float(declines(text)) for text in row["completions"][policy]] for row in asked]
    found = refusals(
        refused, [bool(r["columns"]["harmful"]) for r in asked], [r["prompt_id"] for r in asked], seed=seed
    )
    figures: dict[str, Estimate | None] = {
        "harmful": found.on_harmful, "benign": found.on_benign, "balanced": found.balanced,
    }  # fmt: skip
    return {f"refusal/{policy}/{name}": figure.summary() for name, figure in figures.items() if figure}


def _variety(rows: Sequence[Row], policy: str, seed: int) -> Summary:
    texts = [row["completions"][policy] for row in rows if row.get("completions", {}).get(policy)]
    ids = [row["prompt_id"] for row in rows if row.get("completions", {}).get(policy)]
    if not all(isinstance(text, str) for row in texts for text in row):
        raise RunError(f"the completions of {policy} are not all texts")
    result = {
        f"distinct_2/{policy}": distinct([t for row in texts for t in row], 2).summary(),
        f"repetition/{policy}": repetition(texts, prompt_ids=ids, seed=seed).summary(),
    }
    if any(len(row) > 1 for row in texts):
        result[f"unique/{policy}"] = unique_answers(texts, seed=seed).summary()
    return result
