"""An agent's part of the report: what it came to do, beside what it was told was good."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from heed.evaluation.run_files import RunFiles, Stage
from heed.evaluation.svg import COLOURS, Plot, canvas, to_svg
from heed.evaluation.words import number, percent

CLIPS = {"start": "at the start", "middle": "halfway", "end": "at the end", "watched": "watched"}
KINDS = {".webm": "video/webm", ".gif": "image/gif", ".webp": "image/webp", ".mp4": "video/mp4"}
LARGEST = 2_000_000  # bytes of a film that is put into the page


@dataclass(frozen=True)
class Behaviour:
    """What the page shows of one agent."""

    stage: str
    title: str
    sentence: str
    tiles: list[tuple[str, str, str]]
    plots: list[Plot]
    learnt: bool  # from answers, and not from the true reward
    reached: str  # what it came to, in a line; "" while it is at work
    clips: list[tuple[str, str, str]] = field(default_factory=list)  # (name, kind, data URI)


def behaviour(run: RunFiles) -> list[Behaviour]:
    """Of every stage that logs a true return."""
    return [_of(stage) for stage in run.stages if stage.curve("true/return")[0]]


def reached(agents: Sequence[Behaviour]) -> str:
    """One line for the head of the page: what the agent that learnt from answers came to; "" where there is none."""
    learnt = [agent.reached for agent in agents if agent.learnt and agent.reached]
    return next(iter([*learnt, *(agent.reached for agent in agents if agent.reached)]), "")


def _of(stage: Stage) -> Behaviour:
    yard = _yardstick(stage)
    plots = [_returns(stage, yard)]
    if scatter := _scatter(stage):
        plots.append(scatter)
    for heading, note, names in (
        ("Agreement", "correlation of predicted and true reward, per step and per segment",
         {"reward/correlation_step": "step", "reward/correlation_segment": "segment"}),
        ("Answers", "asked, and learnt from", {"labels/asked": "asked", "labels/used": "learnt from"}),
        ("Validation over training loss", "L2 holds it between 1.1 and 1.5", {"reward/ratio": ""}),
        ("Held-out accuracy", "of answers that a member did not draw", {"reward/held_out_accuracy": ""}),
    ):
        if lines := {label: points for name, label in names.items() if (points := _over_steps(stage, name))}:
            plots.append(_drawn(stage, heading, note, lines))
    learnt, (tiles, line) = _figure(stage, "labels/used") is not None, _compared(stage, yard)
    name = "What the agent came to do" if learnt else "What it does on the true reward"
    return Behaviour(stage.name, name, _sentence(stage, yard), tiles, plots, learnt, line, _clips(stage))


def _figure(stage: Stage | None, name: str) -> float | None:
    value = (stage.summary if stage else {}).get(name)
    return float(value) if isinstance(value, int | float) else None


def _compared(stage: Stage, yard: Stage | None) -> tuple[list[tuple[str, str, str]], str]:
    """The figures to remember, and a line about them; a share of a return below zero would mean nothing."""
    value, best, used = _figure(stage, "true_return"), _figure(yard, "true_return"), _figure(stage, "labels/used")
    tiles, line = [], ""
    if value is not None:
        seen = ", which the agent never saw" if used is not None else ""
        tiles.append(("True return", number(value), f"a whole episode without chance{seen}"))
        line = f"The agent reaches a true return of {number(value)}"
    if value is not None and best is not None and min(value, best) > 0:
        tiles.append(("Of RL on the true reward", percent(value / best), f"which reached {number(best)}"))
        line = f"From answers the agent reaches {percent(value / best)} of what RL does on the true reward"
    elif value is not None and best is not None:
        tiles.append(("RL on the true reward", number(best), "the same agent, paid what this one never saw"))
        line = f"From answers the agent reaches {number(value)}, on the true reward {number(best)}"
    if used is not None:
        tiles.append(("Answers", number(used), "comparisons of two clips that it learnt from"))
    return tiles, line


def _sentence(stage: Stage, yard: Stage | None) -> str:
    step, whole = _figure(stage, "reward/correlation_step"), _figure(stage, "reward/correlation_segment")
    if step is None or whole is None:
        return "This agent was trained on the true reward: it is the yardstick for one that learns from answers."
    return (f"The learnt reward agrees with the true one to {step:.2f} a step and {whole:.2f} a segment (correlation at the "
            "end). Agreement alone makes no good agent: a reward may be right where the agent is and wrong where it goes.")


def _yardstick(stage: Stage) -> Stage | None:
    """The run on the true reward that the settings name."""
    import yaml

    from heed.errors import UserError
    from heed.evaluation.run_files import read_run

    try:
        place = (yaml.safe_load(stage.config) or {}).get("yardstick")
        return read_run(Path(place)).stages[0] if place else None
    except (UserError, yaml.YAMLError, AttributeError):
        return None  # the other run may lie elsewhere by now


def _over_steps(stage: Stage, name: str) -> list[tuple[float, float]]:
    return [(row["steps"], row[name]) for row in stage.metrics if name in row and "steps" in row]


def _returns(stage: Stage, yard: Stage | None) -> Plot:
    lines = {"on answers" if yard else "": _over_steps(stage, "true/return")}
    if yard:
        lines["on the true reward"] = _over_steps(yard, "true/return")
    return _drawn(stage, "True return", "of whole episodes, chance included", lines)


def _drawn(stage: Stage, heading: str, note: str, lines: dict[str, list[tuple[float, float]]]) -> Plot:
    with canvas(450, 280) as (figure, axes):
        told = []
        for (label, points), ink in zip(lines.items(), ("main", "second"), strict=False):
            x, y = [step / 1000 for step, _ in points], [value for _, value in points]
            axes.plot(x, y, color=COLOURS[ink], label=label)
            told.append(f"{label} from {number(y[0])} to {number(y[-1])}.".strip())
        if len(lines) > 1:
            axes.legend(frameon=False, labelcolor="linecolor")
        axes.set_xlabel("thousand environment steps", loc="right")
        alt = f"{heading} over environment steps: " + " ".join(told)
        return Plot(heading, note, to_svg(figure, f"{stage.name} {heading}", alt), alt)


def _scatter(stage: Stage) -> Plot | None:
    """Predicted against true reward of the last round's segments."""
    path = stage.folder / "agreement.json" if stage.folder else None
    if path is None or not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    with canvas(450, 280) as (figure, axes):
        axes.plot(found["true"], found["predicted"], "o", color=COLOURS["main"], markersize=3.5, alpha=0.5, markeredgewidth=0)
        axes.set_xlabel("true reward of a segment", loc="right")
        axes.set_title("predicted", loc="left", fontsize=12, color=COLOURS["muted"], x=-0.03)
        alt = f"Predicted against true reward of the last {len(found['true'])} segments."
        note = f"the last {len(found['true'])} segments; a rising line is agreement"
        return Plot("Predicted against true reward", note, to_svg(figure, f"{stage.name} scatter", alt), alt)


def _clips(stage: Stage) -> list[tuple[str, str, str]]:
    folder = stage.folder / "clips" if stage.folder else None
    found = []
    for name, words in CLIPS.items() if folder else ():
        for path in folder.glob(f"{name}.*"):
            if path.suffix in KINDS and path.stat().st_size <= LARGEST:
                data = base64.b64encode(path.read_bytes()).decode()
                found.append((words, KINDS[path.suffix], f"data:{KINDS[path.suffix]};base64,{data}"))
    return found
