"""One stage of work in its folder: settings, figures, checkpoints, and going on exactly where it stopped.

    output_dir/  config.yaml  metrics.jsonl  samples.jsonl  summary.json  lineage.json  time.json  checkpoints/  model/

summary.json is written last: a folder that has it is done, and the same command given again returns at once.
"""

import contextlib
import errno
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heed import __version__
from heed.config import Settings, dump
from heed.errors import RunError, UserError
from heed.training import checkpoint
from heed.training.distributed import Ranks
from heed.training.progress import Progress
from heed.training.tracking import JsonLines, make_trackers

if TYPE_CHECKING:
    from heed.training.learner import Learner

FREE = {"output_dir", "report_to", "logging_steps", "save_steps", "save_total_limit"}  # may differ when a run goes on


class Run:
    """The folder of one stage.  `summary` is not None when the stage is already done."""

    def __init__(self, output_dir: str, settings: Settings, *, report_to: list[str] | None = None,
                 ranks: Ranks | None = None):
        self.dir, self.ranks = Path(output_dir), ranks or Ranks()
        self.settings = settings
        if self.dir.is_file():
            raise UserError(f"output_dir {self.dir} is a file; expected a folder")
        self._check_settings()
        done = self.dir / "summary.json"
        self.summary: dict[str, Any] | None = json.loads(done.read_text()) if done.exists() else None
        self.phases: dict[str, float] = defaultdict(float)
        self.step, self.before = 0, 0.0
        self.began = time.monotonic()
        self.report_to, self.trackers = report_to or [], []

    def resume(self, learners: "Mapping[str, Learner]", *, total: int, name: str) -> dict[str, Any]:
        """Put `learners` where the newest checkpoint left them; returns the state saved with it ({} at the start)."""
        found = checkpoint.latest(self.dir / "checkpoints")
        state: dict[str, Any] = {}
        if found:
            tensors, state = found
            for key, learner in learners.items():
                learner.restore({k.removeprefix(f"{key}:"): v for k, v in tensors.items() if k.startswith(f"{key}:")})
            self.step, self.before = state["step"], state.get("seconds", 0.0)
            self.phases.update(state.get("phases", {}))
        if self.ranks.first:
            if found:
                print(f"{name}: going on from step {self.step} of {total} ({self.dir})", flush=True)
            self.open(self.step, state.get("lines", {}))
            self.bar = Progress(name, total, self.step)
        return state

    def open(self, step: int = 0, lines: Mapping[str, int] | None = None) -> None:
        """Open the trackers; lines of metrics.jsonl and samples.jsonl after `step` are cut off."""
        self._claim()
        checkpoint.write_file(self.dir / "config.yaml", dump(self.settings))  # now that they were found to be good
        lines = lines or {}
        self.metrics = JsonLines(self.dir / "metrics.jsonl", step, lines.get("metrics"))
        self.samples = JsonLines(self.dir / "samples.jsonl", step, lines.get("samples"))
        self.trackers = make_trackers(self.report_to, self.dir)

    def say(self, text: str) -> None:
        """A line for whoever watches."""
        if self.ranks.first:
            print(text, flush=True)

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time spent inside is counted under `name`."""
        start = time.monotonic()
        yield
        self.phases[name] += time.monotonic() - start

    def log(self, metrics: Mapping[str, float], *, step: int) -> None:
        """One line of figures."""
        if not self.ranks.first:
            return
        row = {"seconds": round(self.seconds, 3), **metrics}
        for tracker in (self.metrics, *self.trackers):
            tracker.log(row, step=step)

    def save(self, learners: "Mapping[str, Learner]", step: int, state: Mapping[str, Any], *, keep: int) -> None:
        """A checkpoint from which `resume` goes on."""
        if not self.ranks.first:
            return
        tensors = {f"{key}:{k}": v for key, learner in learners.items() for k, v in learner.state().items()}
        with self.phase("save"):
            checkpoint.save(self.dir / "checkpoints", step, tensors,
                            {**state, "seconds": self.seconds, "phases": dict(self.phases),
                             "lines": {"metrics": self.metrics.lines, "samples": self.samples.lines}}, keep=keep)

    def artifact(self, name: str, write) -> Path:
        """A folder (a Hugging Face directory) written whole or not at all."""
        return checkpoint.replace_folder(self.dir / name, write)

    def finish(self, summary: Mapping[str, Any], **lineage: Any) -> dict[str, Any]:
        """Final figures, where it came from, where the time went; the stage is done after this."""
        wrong = [name for name, x in summary.items() if isinstance(x, float) and not math.isfinite(x)]
        if wrong:
            raise RunError(f"{wrong[0]} is {summary[wrong[0]]} in the end: training has diverged (a lower learning rate is "
                           f"the usual cure); the checkpoints are in {self.dir / 'checkpoints'}")
        checkpoint.write_file(self.dir / "config.yaml", dump(self.settings))
        checkpoint.write_file(self.dir / "time.json", json.dumps({k: round(v, 3) for k, v in self.phases.items()}))
        parents = {"heed": __version__, "seconds": round(self.seconds, 2), "memory_mb": _peak_memory(), **lineage}
        checkpoint.write_file(self.dir / "lineage.json", json.dumps(parents, indent=1))
        checkpoint.write_file(self.dir / "summary.json", json.dumps(dict(summary), indent=1, allow_nan=False))
        for tracker in (getattr(self, "metrics", None), getattr(self, "samples", None), *self.trackers):
            if tracker:
                tracker.close()
        if hasattr(self, "bar"):
            self.bar.close()
        self.summary = dict(summary)
        return self.summary

    def _claim(self) -> None:
        """Keep other processes out for as long as this one lives: two would spoil each other's files."""
        import fcntl

        self.dir.mkdir(parents=True, exist_ok=True)
        self.lock = (self.dir / ".lock").open("w")
        try:
            fcntl.lockf(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):  # others: a file system without locks
                raise UserError(f"another process is at work in {self.dir}: wait for it, or end it") from None

    def _check_settings(self) -> None:
        old = self.dir / "config.yaml"
        kept = [*(self.dir / "checkpoints").glob("step-*"), self.dir / "summary.json", self.dir / "samples.jsonl"]
        if not old.exists() or not any(p.exists() and (p.is_dir() or p.stat().st_size) for p in kept):
            return  # a run that stopped before it had anything to go on from may begin again under other settings
        import yaml

        now = yaml.safe_load(dump(self.settings))
        before = type(self.settings).model_construct().model_dump(mode="json")  # a setting newer than the run had its default
        before |= yaml.safe_load(old.read_text()) or {}
        changed = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k) and k not in FREE)
        if changed:
            k = changed[0]
            raise UserError(f"{self.dir} holds a run with {k} = {before.get(k)!r}, now {now.get(k)!r}"
                            f"{f' (and {len(changed) - 1} more settings differ)' if changed[1:] else ''}: "
                            "give another output_dir, or remove the folder to start again")


def _peak_memory() -> int:
    """The most memory that this process has had, in MB."""
    import resource
    import sys

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def guard(name: str, value: float, limit: float, advice: str) -> None:
    """Stop a run whose `value` has passed `limit`, saying why."""
    if value > limit:
        raise RunError(f"{name} is {value:.4g}, past the limit of {limit:g}: {advice}")
