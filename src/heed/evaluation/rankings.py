"""From held-out rankings and the rewards of their answers to the figures of a reward model.

A row is one ranking, as in the samples.jsonl of a reward stage:
{"prompt_id", "prompt", "completions": [texts], "ranks": [1 is best], "scores": [rewards], "columns": {...}}.
Pairs are derived here and stored nowhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from heed.errors import RunError, UserError
from heed.evaluation.estimate import same_length
from heed.evaluation.metrics.calibration import Calibration, calibration
from heed.evaluation.metrics.preference import (
    accuracy_by_category,
    accuracy_controls,
    length_correlation,
    pairwise_accuracy,
)
from heed.evaluation.summary import Summary, use_case


@dataclass(frozen=True)
class Pairs:
    """One entry a pair of answers that people did not tie.  Lengths are in characters."""

    chosen: list[float]
    rejected: list[float]
    chosen_lengths: list[float]
    rejected_lengths: list[float]
    prompt_ids: list[str]
    categories: list[str]

    def calibration(self, *, seed: int = 0) -> Calibration:
        differences = [a - b for a, b in zip(self.chosen, self.rejected, strict=True)]
        return calibration(differences, [1] * len(differences), seed=seed)


def pairs(rows: Iterable[Mapping[str, Any]]) -> Pairs:
    """Every pair of every ranking; ties give none.  A row without a use case is of the category "all"."""
    result = Pairs([], [], [], [], [], [])
    for row in rows:
        texts, ranks, scores = row["completions"], row["ranks"], row["scores"]
        same_length(completions=texts, ranks=ranks, scores=scores)
        if None in scores:
            raise RunError(f"a reward of prompt {row['prompt_id']} is missing")
        for i, j in _ordered(ranks):
            result.chosen.append(scores[i])
            result.rejected.append(scores[j])
            result.chosen_lengths.append(len(texts[i]))
            result.rejected_lengths.append(len(texts[j]))
            result.prompt_ids.append(row["prompt_id"])
            result.categories.append(use_case(row) or "all")
    return result


def from_evaluation(rows: Iterable[Mapping[str, Any]], policy: str) -> list[dict[str, Any]]:
    """Rankings of one policy's answers by the gold judge, with the proxy as the reward: rows of an evaluation in,
    rows of rankings out.  Prompts without both judges or with one answer are left out."""
    result = []
    for row in rows:
        gold, proxy = ((row.get(judge) or {}).get(policy) or [] for judge in ("gold", "proxy"))
        texts = (row.get("completions") or {}).get(policy) or []
        kept = [i for i, pair in enumerate(zip(gold, proxy, texts, strict=False)) if None not in pair]
        if len(kept) > 1:
            result.append({**row, "completions": [texts[i] for i in kept], "scores": [proxy[i] for i in kept],
                           "ranks": [1 + sum(gold[j] > gold[i] for j in kept) for i in kept]})  # fmt: skip
    return result


def summarise_rankings(rows: Iterable[Mapping[str, Any]], *, seed: int = 0) -> Summary:
    """Final figures of a reward model on held-out rankings, ready for summary.json.

    accuracy  accuracy/<use case>  accuracy_control/constant|random|longer|oracle
    ece  ece_null_95  brier  nll  temperature   calibration of sigmoid(difference)
    length_correlation                           Spearman of reward and length in characters
    """
    rows = list(rows)
    found = pairs(rows)
    if not found.chosen:
        raise UserError("no pairs among the held-out rankings: every answer is tied, or there are no rankings")
    scored = (found.chosen, found.rejected)
    result = {"accuracy": pairwise_accuracy(*scored, found.prompt_ids, seed=seed).summary()}
    if len(set(found.categories)) > 1:
        by_case = accuracy_by_category(*scored, found.categories, found.prompt_ids, seed=seed)
        result |= {f"accuracy/{case}": estimate.summary() for case, estimate in by_case.items()}
    controls = accuracy_controls(found.chosen_lengths, found.rejected_lengths, found.prompt_ids, seed=seed)
    result |= {f"accuracy_control/{name}": estimate.summary() for name, estimate in controls.items()}
    measured = found.calibration(seed=seed)
    figures = {
        "ece": measured.ece,
        "ece_null_95": measured.null_95,
        "brier": measured.brier,
        "nll": measured.nll,
        "temperature": measured.temperature,
    }
    result |= {name: {"value": value, "n": measured.n} for name, value in figures.items() if value is not None}
    answers = [
        (score, len(text), row["prompt_id"])
        for row in rows
        for text, score in zip(row["completions"], row["scores"], strict=True)
    ]
    result["length_correlation"] = length_correlation(*zip(*answers, strict=True), seed=seed).summary()
    return result


def _ordered(ranks: Sequence[int]) -> list[tuple[int, int]]:
    """(better, worse) positions."""
    return [(i, j) for i in range(len(ranks)) for j in range(len(ranks)) if ranks[i] < ranks[j]]
