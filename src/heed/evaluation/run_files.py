"""A run folder as it lies on disk: what is there is read, what is missing is None or empty."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heed.errors import UserError

# Where a stage stands in the story; stages with other names come after training and before the evaluation.
ORDER = ("pretrain", "sft", "sample", "label", "reward", "ppo", "ppo_no_kl")
_LAST = ("evaluate",)


@dataclass(frozen=True)
class Stage:
    """The files of one stage."""

    name: str
    config: str = ""
    metrics: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    lineage: dict[str, Any] = field(default_factory=dict)
    time: dict[str, float] = field(default_factory=dict)
    folder: Path | None = None

    def curve(self, metric: str) -> tuple[list[float], list[float]]:
        """(steps, values) of one metric; NaN stays NaN, so that a curve shows its gap."""
        points = [(row["step"], row[metric]) for row in self.metrics if _number(row.get(metric)) and "step" in row]
        return [float(step) for step, _ in points], [float(value) for _, value in points]

    @property
    def seconds(self) -> float:
        """How long it took: as recorded, or the sum of its phases, or the last line of metrics."""
        last = self.metrics[-1].get("seconds", 0.0) if self.metrics else 0.0
        return float(self.lineage.get("seconds") or sum(self.time.values()) or last)


@dataclass(frozen=True)
class RunFiles:
    """A whole run: its name and its stages in the order of the story."""

    name: str
    stages: list[Stage]

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)


def read_run(run_dir: Path) -> RunFiles:
    """Read `run_dir`: a folder of stages, or the folder of a single stage.  UserError where it is neither."""
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise UserError(f"no run folder at {run_dir}")
    if _is_stage(run_dir):
        return RunFiles(run_dir.resolve().name, [_read_stage(run_dir)])
    folders = sorted((f for f in run_dir.iterdir() if f.is_dir() and _is_stage(f)), key=lambda f: _place(f.name))
    if not folders:
        raise UserError(
            f"{run_dir} holds no stage: expected metrics.jsonl, samples.jsonl or summary.json in it or one below"
        )
    return RunFiles(run_dir.resolve().name, [_read_stage(folder) for folder in folders])


def _place(name: str) -> tuple[int, str]:
    if name in ORDER:
        return ORDER.index(name), name
    return (len(ORDER) + 1 if name in _LAST else len(ORDER)), name


def _is_stage(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("metrics.jsonl", "samples.jsonl", "summary.json"))


def _read_stage(folder: Path) -> Stage:
    config = folder / "config.yaml"
    return Stage(
        name=folder.resolve().name,
        config=_text(config) if config.is_file() else "",
        metrics=_lines(folder / "metrics.jsonl"),
        samples=_lines(folder / "samples.jsonl"),
        summary=_object(folder / "summary.json"),
        lineage=_object(folder / "lineage.json"),
        time={k: float(v) for k, v in _object(folder / "time.json").items() if _number(v)},
        folder=folder,
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _object(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, expected an object of names and values")
    return value


def _lines(path: Path) -> list[dict[str, Any]]:
    """One object a line.  A last line that is cut off was being written when the run stopped, and is left out."""
    if not path.is_file():
        return []
    rows, lines = [], _text(path).split("\n")
    lines = [(i, line) for i, line in enumerate(lines, 1) if line.strip()]
    for i, line in lines:
        try:
            row = json.loads(line)
        except ValueError as error:
            if i == lines[-1][0]:
                break
            raise UserError(f"{path}, line {i} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {i} holds a {type(row).__name__}, expected an object")
        rows.append(row)
    return rows


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
