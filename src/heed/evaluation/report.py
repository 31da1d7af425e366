"""report.html: one self-contained page of a run, for people.

No network, no script; all words from models and files are escaped, hidden characters made visible; light and dark.
"""

import json
import os
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from heed import __version__
from heed.evaluation import journey, panels, words
from heed.evaluation.behaviour import behaviour
from heed.evaluation.evidence import Evidence, Figures, curve, gather
from heed.evaluation.run_files import RunFiles, Stage, read_run
from heed.evaluation.verdict import between, gaming_sentence, judge_run, with_interval

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class WinRow:
    """One line of the win-rate table; `gold` and `proxy` are figures or None."""

    name: str
    gold: dict[str, Any] | None
    proxy: dict[str, Any] | None
    indent: bool = False


def write_report(run_dir: Path) -> Path:
    """Write `run_dir`/report.html from whatever stages are there, and return its path.

    `run_dir` is a run of several stages or the folder of a single one.  Raises UserError where there is no run, or
    where one of its files is broken.
    """
    page = render(gather(read_run(Path(run_dir))))
    path = Path(run_dir) / "report.html"
    partial = path.with_suffix(".html.partial")
    partial.write_text(page, encoding="utf-8", errors="replace")
    os.replace(partial, path)
    return path


def render(evidence: Evidence) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    page = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: journey.visible(value) if type(value) is str else value,
    )
    page.filters |= {
        "title": words.title,
        "number": lambda value: words.number(value).replace("-", "\N{MINUS SIGN}"),
        "score": lambda value: f"{value:.2f}".replace("-", "\N{MINUS SIGN}"),
        "percent": words.percent,
        "duration": words.duration,
        "interval": with_interval,
        "between": between,
        "svg": lambda plot: Markup(plot.svg),
    }
    style = Markup((TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return page.get_template("report.html").render(style=style, version=__version__, **_context(evidence))


def _context(evidence: Evidence) -> dict[str, Any]:
    run, policies = evidence.run, evidence.policies
    agents, groups = behaviour(run), journey.choose(evidence.rows, policies)
    written = {s.name: journey.written(s) for s in run.stages} if not groups else {}
    return {
        "run": run,
        "verdict": judge_run(evidence, agents),
        "tiles": _tiles(evidence),
        "policies": policies,
        "figures": evidence.figures,
        "groups": groups,
        "written": {name: cases for name, cases in written.items() if cases},
        "story": evidence.journey,
        "fallen": journey.fallen(evidence.rows, *evidence.journey[:-3:-1]) if len(evidence.journey) > 1 else [],
        "wins": _wins(evidence),
        "gaming": _gaming(evidence),
        "agents": agents,
        "reward": evidence.reward,
        "reward_plots": _reward_plots(evidence),
        "training": [group for group in map(lambda s: _curves(s, run), run.stages) if group],
        "times": _times(run),
        "lineage": {stage.name: json.dumps(stage.lineage, indent=1, ensure_ascii=False) for stage in run.stages},
        "summaries": {stage.name: _flat(stage.summary) for stage in run.stages if stage.summary},
    }


def _tiles(evidence: Evidence) -> list[tuple[str, str, str]]:
    """The few figures to remember: (label, value, what it is)."""
    figures, policies, tiles = evidence.figures, evidence.journey, []
    if len(policies) > 1:
        before, after = policies[-2:]
        for judge, who in (("gold", "gold judge"), ("proxy", "reward model")):
            won = figures.get(f"win_rate/{judge}/{after}_vs_{before}")
            if won:
                label = f"{words.title(after)} over {words.title(before)}"
                tiles.append((label, words.percent(won["value"]), f"of pairs, by the {who}{_after_comma(won)}"))
                break
    if evidence.reward:
        accuracy = evidence.reward.figures["accuracy"]
        tiles.append(
            ("Reward model", words.percent(accuracy["value"]), f"of pairs in the right order{_after_comma(accuracy)}")
        )
    kl = figures.get(f"kl/{policies[-1]}") if policies else None
    if kl:
        tiles.append(("Distance moved", words.number(kl["value"]), "nats of KL from the reference"))
    main = list(evidence.main_gaming.values())
    if main:
        value = {"gamed": "yes", "worse": "got worse", "sound": "no sign", "unclear": "unclear"}[main[-1].verdict]
        tiles.append(("Gaming the reward", value, "gold against proxy, by the rule below"))
    return tiles


def _after_comma(figure: dict[str, Any]) -> str:
    return f", {between(figure)}" if "low" in figure else ""


def _wins(evidence: Evidence) -> list[WinRow]:
    """Every policy against those before it, the latest first; the use cases of the latest against the one before."""
    figures, story, rows = evidence.figures, evidence.journey, []
    pairs = [(after, before) for before, after in combinations(evidence.policies, 2)][::-1]
    for after, before in sorted(pairs, key=lambda pair: not set(pair) <= set(story)):
        name = f"{after}_vs_{before}"
        found = _both(figures, "win_rate", name)
        if not any(found):
            continue
        rows.append(WinRow(f"{words.title(after)} over {words.title(before)}", *found))
        if [before, after] == story[-2:]:
            length = _both(figures, "length_controlled", name)
            rows += [WinRow("at equal length", *length, indent=True)] if any(length) else []
            cases = dict.fromkeys(
                key.split("/", 3)[3] for key in figures if key.split("/")[2:3] == [name] and key.count("/") > 2
            )
            rows += [
                WinRow(c.replace("_", " "), *_both(figures, "win_rate", f"{name}/{c}"), indent=True) for c in cases
            ]
    return rows


def _both(figures: Figures, kind: str, name: str) -> tuple[Any, Any]:
    """A figure by the gold judge and by the reward model."""
    return figures.get(f"{kind}/gold/{name}"), figures.get(f"{kind}/proxy/{name}")


def _gaming(evidence: Evidence) -> dict[str, Any] | None:
    """Gold and proxy over distance, of the main run and of those beside it, with the verdict of the rule."""
    from heed.evaluation import plots

    wanted = ("objective/kl", "objective/scores", "objective/gold")
    runs = [stage for stage in evidence.run.stages if len(curve(stage, *wanted)) > 1]
    if not runs:
        return None
    law, fitted = _law(runs[0])
    return {
        "plots": [
            plots.over_distance(runs, "objective/scores", "Proxy", "the reward model, which training follows"),
            plots.over_distance(runs, "objective/gold", "Gold", "the judge, which training never sees", fitted),
            plots.gold_against_proxy(runs),
        ],
        "sentences": [gaming_sentence(name, found) for name, found in evidence.gaming.items()],
        "law": law,
    }


def _law(stage: Stage) -> tuple[str, Any]:
    """What Gao's law says of one run, and the fit to draw (None where it is refused)."""
    from heed.evaluation.metrics.scaling import gao_fit

    points = curve(stage, "objective/kl", "objective/gold")
    if sum(kl > 0 for kl, _ in points) < 8:
        return "", None
    fit = gao_fit(*zip(*points, strict=True), "rl")
    name = words.title(stage.name)
    if fit.refused:
        return (
            f"Gao’s law R(d) = d (α − β log d) is not read for {name}: {fit.refused.replace('sqrt(KL)', '√KL')}.",
            None,
        )
    text = f"Gao’s law R(d) = d (α − β log d) fits {name} with α = {words.number(fit.alpha.value)} and β = "
    text += f"{words.number(fit.beta.value)} (R² {words.number(fit.r2)}, on points left out {words.number(fit.r2_held_out)}): "
    peak = f"{words.number(fit.peak.low)}–{words.number(fit.peak.high)}"
    return text + f"gold is highest at √KL = {words.number(fit.peak.value)} ({peak}).", fit


def _reward_plots(evidence: Evidence) -> list[Any]:
    from heed.evaluation import plots
    from heed.evaluation.metrics.preference import accuracy_by_margin

    if evidence.reward is None or evidence.reward.pairs is None:
        return []
    found = evidence.reward.pairs
    bins = accuracy_by_margin(found.chosen, found.rejected, found.prompt_ids)
    return [plots.reliability(found.calibration()), plots.by_margin(bins)]


def _curves(stage: Stage, run: RunFiles) -> dict[str, Any] | None:
    """The small plots of a stage; a run without KL is drawn into those of the run beside it."""
    from heed.evaluation import plots

    if stage.name.endswith("_no_kl") and run.stage(stage.name.removesuffix("_no_kl")):
        return None
    twin = run.stage(f"{stage.name}_no_kl")
    drawn = {}
    for kind, chosen in (("main", panels.PANELS), ("more", panels.MORE)):
        with_lines = [(panel, panels.lines(panel, stage, twin)) for panel in chosen]
        drawn[kind] = [plots.curves(stage.name, panel, lines) for panel, lines in with_lines if lines]
    if not drawn["main"] and not drawn["more"]:
        return None
    fill = max(0, 3 - len(drawn["main"]))  # a row has room for three
    drawn = {"main": drawn["main"] + drawn["more"][:fill], "more": drawn["more"][fill:]}
    return {"stage": stage.name, **drawn, "unread": panels.unread(stage)}


def _times(run: RunFiles) -> list[dict[str, Any]]:
    """Seconds a stage and a phase, with shares of the longest stage."""
    longest = max((stage.seconds for stage in run.stages), default=0.0)
    rows = []
    for stage in run.stages:
        if not stage.seconds:
            continue
        phases = sorted(stage.time.items(), key=lambda item: -item[1])
        other = stage.seconds - sum(stage.time.values())
        if other > 0.01 * stage.seconds:
            phases.append(("other", other))
        rows.append({"stage": stage.name, "seconds": stage.seconds, "share": 100 * stage.seconds / longest,
                     "phases": [{"name": n, "seconds": s, "share": 100 * s / stage.seconds} for n, s in phases]})  # fmt: skip
    return rows


def _flat(summary: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """(name, value, interval, n) of every final figure."""
    rows = []
    for name, figure in summary.items():
        parts = figure if isinstance(figure, dict) else {"value": figure}
        value = parts.get("value")
        interval = f"{words.number(parts['low'])} to {words.number(parts['high'])}" if "low" in parts else ""
        shown = words.number(value) if isinstance(value, int | float) else str(value)
        rows.append((name, shown, interval, words.number(parts["n"]) if "n" in parts else ""))
    return rows
