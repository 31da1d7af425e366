"""Several methods, each trained with several seeds: what they reached, what it cost, and what follows.

Read from the folders that `heed compare` leaves; every sentence is computed from the figures.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from heed.errors import RunError
from heed.evaluation.estimate import Estimate
from heed.evaluation.metrics.seeds import mean_over_seeds, win_rate_over_seeds
from heed.evaluation.run_files import Stage, read_run
from heed.evaluation.verdict import listed, with_interval
from heed.evaluation.words import number, percent

START = "start"  # the policy that every method began with


@dataclass(frozen=True)
class Cost:
    """Of one training: what it read and wrote, how long it took, how much memory it had at most."""

    generated: float  # tokens it sampled
    trained: float  # completion tokens it took gradients of, each pass counted
    seconds: float
    memory_mb: float


@dataclass
class Method:
    """One method: its figures over seeds.  `gold`, `proxy`, `win` are None where nothing was judged or all trainings failed."""

    name: str
    family: str
    seeds: list[int] = field(default_factory=list)  # of the trainings below, in their order
    scores: list[list[list[float]]] = field(default_factory=list)  # [training][prompt][answer] by the judge that decides
    gold: Estimate | None = None
    proxy: Estimate | None = None
    win: Estimate | None = None  # over the start
    kl: list[float] = field(default_factory=list)  # a training each, nats from the start
    means: list[float] = field(default_factory=list)  # gold of each training
    wins: list[float] = field(default_factory=list)  # win rate of each training over the start
    length: float = 0.0
    costs: list[Cost] = field(default_factory=list)
    paths: list[list[tuple[float, float]]] = field(default_factory=list)  # (KL, gold) along each training, where it was logged
    failures: dict[int, str] = field(default_factory=dict)  # seed: why


@dataclass
class Comparison:
    """All of them; `matrix[a, b]` is the win rate of a over b."""

    methods: list[Method]
    matrix: dict[tuple[str, str], Estimate]
    judge: str
    prompts: int
    start: Method
    over_budget: list[str]
    conclusion: list[str] = field(default_factory=list)

    @property
    def ranked(self) -> list[Method]:
        """Those that have figures, the best by the judge first."""
        return sorted((m for m in self.methods if m.gold), key=lambda m: -m.gold.value)

    def summary(self) -> dict[str, Any]:
        """Final figures by name."""
        found: dict[str, Any] = {}
        for m in self.ranked:
            found |= {f"gold/{m.name}": m.gold.summary(), f"win_rate/{m.name}_vs_start": m.win.summary(),
                      f"kl/{m.name}": sum(m.kl) / len(m.kl)}
        return found | {f"win_rate/{a}_vs_{b}": e.summary() for (a, b), e in self.matrix.items()}


def gather(folder: Path, families: Mapping[str, str], trainings: Mapping[tuple[str, int], Sequence[str]], seeds: Sequence[int],
           budget: Mapping[str, float], failed: Mapping[str, str]) -> Comparison:
    """The comparison in a run folder.  `trainings`: the stages of each method and seed."""
    run = read_run(folder)
    rows = {seed: run.stage(f"evaluate-s{seed}").samples for seed in seeds if run.stage(f"evaluate-s{seed}")}
    if not rows:
        raise RunError(f"{folder} holds no evaluation: nothing to compare")
    first = next(iter(rows.values()))
    judge = "gold" if any(row.get("gold") for row in first) else "proxy"
    start = _method(START, "start", rows, judge)
    methods = []
    for name, family in families.items():
        m = _method(name, family, rows, judge)
        for seed in seeds:
            stages = [run.stage(stage) for stage in trainings[name, seed]]
            whys = [failed[stage] for stage in trainings[name, seed] if stage in failed]
            if whys:
                m.failures[seed] = whys[0]
            elif stages and all(s and s.lineage for s in stages):  # what only decodes trained nothing and has no cost
                m.costs.append(_cost(stages))
                m.paths += [path for s in stages if (path := _path(s))]
        if m.scores:
            m.win = win_rate_over_seeds(m.scores, start.scores)
            m.wins = [win_rate_over_seeds([s], start.scores).value for s in m.scores]
        methods.append(m)
    with_figures = [m for m in methods if m.scores]
    matrix = {}
    for a, b in combinations(with_figures, 2):
        e = win_rate_over_seeds(a.scores, b.scores)
        matrix[a.name, b.name] = e
        matrix[b.name, a.name] = Estimate(1 - e.value, *(None if x is None else 1 - x for x in (e.high, e.low)), e.n, e.method)
    found = Comparison(methods, matrix, judge, len(first), start, _over_budget(methods, budget))
    found.conclusion = conclude(found)
    return found


def _method(name: str, family: str, rows: Mapping[int, list[dict[str, Any]]], judge: str) -> Method:
    """A method's answers in the evaluations of all seeds."""
    m, proxies, lengths = Method(name, family), [], []
    for seed, found in rows.items():
        if not found or name not in found[0]["completions"]:
            continue
        m.seeds.append(seed)
        m.scores.append([[s for s in row[judge][name] if s is not None] for row in found])
        m.means.append(_mean(m.scores[-1]))
        lengths.append(_mean([row["tokens"][name] for row in found]))
        if found[0].get("kl", {}).get(name):
            m.kl.append(_mean([row["kl"][name] for row in found]))
        if found[0].get("proxy"):
            proxies.append([row["proxy"][name] for row in found])
    if m.scores:
        m.gold, m.length = mean_over_seeds(m.scores), sum(lengths) / len(lengths)
        m.kl = m.kl or [0.0] * len(m.scores)
        m.proxy = mean_over_seeds(proxies) if proxies else None
    return m


def _mean(rows: Sequence[Sequence[float]]) -> float:
    flat = [x for row in rows for x in row]
    return sum(flat) / len(flat)


def _cost(stages: Sequence[Stage]) -> Cost:
    """Of one training, over all of its stages."""
    import yaml

    generated = trained = 0.0
    for stage in stages:
        config = yaml.safe_load(stage.config) or {}
        if "rollout_batch_size" in config:
            every = config.get("logging_steps", 1)
            wrote = sum(row.get("completions/mean_length", 0.0) for row in stage.metrics) * config["rollout_batch_size"] * every
            generated += wrote
            trained += max(0.0, float(stage.lineage.get("tokens", 0.0)) - wrote)
        else:
            trained += float(stage.lineage.get("tokens", 0.0))
    memory = max((s.lineage.get("memory_mb", 0) for s in stages), default=0)
    return Cost(generated, trained, sum(s.seconds for s in stages), memory)


def _path(stage: Stage) -> list[tuple[float, float]]:
    wanted = ("objective/kl", "objective/gold")
    return [tuple(row[name] for name in wanted) for row in stage.metrics if set(wanted) <= row.keys()]


def _over_budget(methods: Sequence[Method], budget: Mapping[str, float]) -> list[str]:
    said = []
    for m in methods:
        for what, most in budget.items():
            used = max((c.seconds if what == "seconds" else c.generated + c.trained for c in m.costs), default=0.0)
            if used > 1.05 * most:  # the step in which a training ends may be a little more
                said.append(f"{m.name} used {used:,.0f} {what} of {most:,.0f}")
    return said


def conclude(found: Comparison) -> list[str]:
    """What the figures say, in sentences; nothing here was written by hand."""
    ranked = found.ranked
    if not ranked:
        return ["Every training failed: there is nothing to compare."]
    judge = "the gold judge" if found.judge == "gold" else "the reward model itself (no gold judge was asked)"
    best, said = ranked[0], []
    even = [m.name for m in ranked[1:] if not _better(found, best, m)]
    said.append(f"On {found.prompts} held-out prompts {judge} likes {best.name} best: its answers are preferred to those of "
                f"the policy that all began with in {with_interval(best.win.summary())} of the pairs.")
    said.append(f"It cannot be told apart from {listed(even)}." if even else "Every other method loses to it.")
    worse = [m.name for m in ranked if (m.win.high or 1) < 0.5]
    same = [m.name for m in ranked if m.name not in worse and (m.win.low or 0) <= 0.5]
    if same:
        said.append(f"{listed(same)} cannot be told apart from where they began.")
    if worse:
        said.append(f"{listed(worse)} made it worse.")
    said += _families(found, ranked)
    dear = max(ranked, key=lambda m: sum(m.kl) / len(m.kl))
    said.append(f"The furthest from the start is {dear.name}, at {number(sum(dear.kl) / len(dear.kl))} nats of KL"
                + (f"; {best.name} is at {number(sum(best.kl) / len(best.kl))}." if dear is not best else "."))
    failed = [f"{m.name} ({len(m.failures)})" for m in found.methods if m.failures]
    if failed:
        said.append(f"Trainings failed: {listed(failed)}.")
    if found.over_budget:
        said.append(f"Over the budget: {listed(found.over_budget)}.")
    return said


def _better(found: Comparison, a: Method, b: Method) -> bool:
    return (found.matrix[a.name, b.name].low or 0) > 0.5


def _families(found: Comparison, ranked: Sequence[Method]) -> list[str]:
    """The best of reinforcement against the best of each other family: the question that people ask first."""
    first = {family: next((m for m in ranked if m.family == family), None)
             for family in ("reinforcement", "imitation", "direct", "decoding")}
    rl, said = first.pop("reinforcement"), []
    names = {"imitation": "imitating the answers people liked", "direct": "learning from the comparisons directly",
             "decoding": "choosing among several answers at the end"}
    for family, other in first.items():
        if rl and other:
            won = found.matrix[rl.name, other.name]
            verdict = "beats" if (won.low or 0) > 0.5 else "loses to" if (won.high or 1) < 0.5 else "cannot be told apart from"
            said.append(f"Reinforcement learning at its best ({rl.name}) {verdict} {names[family]} at its best ({other.name}): "
                        f"{with_interval(won.summary())} of the pairs.")
    return said


def told(estimate: Estimate | None, share: bool = False) -> str:
    """A figure with its interval, for a cell."""
    if estimate is None:
        return "–"
    if share:
        return with_interval(estimate.summary()) if estimate.low is not None else percent(estimate.value)
    text = number(estimate.value)
    return text + (f" ({number(estimate.low)} to {number(estimate.high)})" if estimate.low is not None else "")


def write_summary(folder: Path, found: Comparison) -> None:
    """comparison.json beside the page."""
    (folder / "comparison.json").write_text(json.dumps(found.summary(), indent=1), encoding="utf-8")
