"""Everything a report argues from, gathered once from the files of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from heed.evaluation.metrics.overoptimisation import Overoptimisation, overoptimisation
from heed.evaluation.rankings import Pairs, from_evaluation, pairs, summarise_rankings
from heed.evaluation.run_files import RunFiles, Stage
from heed.evaluation.summary import policies_of, summarise
from heed.evaluation.words import title

Figures = Mapping[str, Any]  # the shape of summary.json


@dataclass(frozen=True)
class RewardEvidence:
    """`figures` as `summarise_rankings` gives them, of the pairs in `pairs` (None where only a summary is left);
    `who` made the ranking, `where` says of which answers; `by_policy` is the accuracy on each policy's own answers."""

    figures: Figures
    pairs: Pairs | None
    who: str
    where: str
    by_policy: dict[str, Figures] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """`policies` in the order they were made; `figures` of the evaluation; `gaming` for each stage with a gold score."""

    run: RunFiles
    rows: list[dict[str, Any]]
    policies: list[str]
    figures: Figures
    reward: RewardEvidence | None
    gaming: dict[str, Overoptimisation]

    @property
    def journey(self) -> list[str]:
        """The policies of the story: those without KL, which are there for comparison, left out."""
        return [policy for policy in self.policies if not policy.endswith("_no_kl")] or self.policies

    @property
    def main_gaming(self) -> dict[str, Overoptimisation]:
        """`gaming` without the runs without KL that are there for comparison; alone, such a run is the main one."""
        return {name: found for name, found in self.gaming.items() if not name.endswith("_no_kl")} or self.gaming


def gather(run: RunFiles) -> Evidence:
    """The evidence in a run, whichever of its stages are there."""
    evaluation = next((stage for stage in run.stages if any(map(_is_evaluation, stage.samples))), None)
    rows = [row for row in evaluation.samples if _is_evaluation(row)] if evaluation else []
    policies = policies_of(rows) if rows else []
    figures = dict(evaluation.summary or summarise(rows)) if evaluation else {}
    return Evidence(run, rows, policies, figures, _reward(run, rows, policies), find_gaming(run))


def curve(stage: Stage, *names: str) -> list[tuple[float, ...]]:
    """The steps that logged all of `names`, as finite tuples."""
    found = [tuple(row[name] for name in names) for row in stage.metrics if set(names) <= row.keys()]
    return [values for values in found if all(isinstance(v, int | float) and np.isfinite(v) for v in values)]


def find_gaming(run: RunFiles) -> dict[str, Overoptimisation]:
    """`overoptimisation` of every stage that logs a gold score beside its learned reward."""
    both = {stage.name: curve(stage, "objective/gold", "objective/scores") for stage in run.stages}
    return {name: overoptimisation(*zip(*points, strict=True)) for name, points in both.items() if points}


def _is_evaluation(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("completions"), Mapping) and "prompt_id" in row


def _reward(run: RunFiles, rows: Sequence[Mapping[str, Any]], policies: Sequence[str]) -> RewardEvidence | None:
    """Held-out rankings of the reward stage where they were kept; else the gold judge's ranking of the answers of the
    policy that the reward model was trained on, the second of several; else the figures that its summary has."""
    by_policy = {}
    for policy in policies:
        ranked = from_evaluation(rows, policy)
        if pairs(ranked).chosen:
            by_policy[policy] = summarise_rankings(ranked)
    accuracies = {policy: figures["accuracy"] for policy, figures in by_policy.items()}
    stage = run.stage("reward")
    kept = (
        [row for row in stage.samples if {"ranks", "scores", "completions", "prompt_id"} <= row.keys()] if stage else []
    )
    if kept and pairs(kept).chosen:
        return RewardEvidence(summarise_rankings(kept), pairs(kept), "the labeller", "held-out pairs", accuracies)
    if by_policy:
        policy = policies[min(1, len(policies) - 1)]
        policy = policy if policy in by_policy else next(iter(by_policy))
        found = pairs(from_evaluation(rows, policy))
        return RewardEvidence(
            by_policy[policy], found, "the gold judge", f"pairs of {title(policy)} answers", accuracies
        )
    if stage and isinstance(stage.summary.get("eval_accuracy"), Mapping):
        figures = {"accuracy": stage.summary["eval_accuracy"]}
        if "eval_accuracy_longer_wins" in stage.summary:
            figures["accuracy_control/longer"] = stage.summary["eval_accuracy_longer_wins"]
        return RewardEvidence(figures, None, "the labeller", "held-out pairs")
    return None
