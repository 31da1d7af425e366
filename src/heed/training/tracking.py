"""Where figures go: metrics.jsonl always; the console; TensorBoard and W&B where they are installed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heed.errors import UserError, nearest
from heed.training.checkpoint import write_file


class JsonLines:
    """One JSON object a line.  On resuming from `step`, later lines are cut off: the curve has no doubled part.

    `lines` says how many there were when the checkpoint was written; what was said of the same step behind it is cut off too.
    """

    def __init__(self, path: Path, step: int = 0, lines: int | None = None):
        self.path = path
        kept = []
        for line in path.read_bytes().split(b"\n") if path.exists() else []:  # not splitlines: text may hold U+2028
            try:
                row = json.loads(line) if line else None
            except ValueError:
                break  # the line that was being written when the process was killed, perhaps in the middle of a letter
            if not isinstance(row, dict):
                continue
            if row.get("step", 0) > step or len(kept) == lines:
                break
            kept.append(line.decode() + "\n")
        write_file(path, "".join(kept))  # in one rename: killed here, nothing is lost
        self.file = path.open("a", encoding="utf-8")
        self.lines = len(kept)

    def log(self, metrics: Mapping[str, Any], *, step: int) -> None:
        self.file.write(json.dumps({"step": step, **metrics}, ensure_ascii=False) + "\n")
        self.file.flush()
        self.lines += 1

    def close(self) -> None:
        self.file.close()


class TensorBoard:
    """Scalars for TensorBoard, in `folder`."""

    def __init__(self, folder: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UserError("report_to=tensorboard needs the package: pip install 'heed[tensorboard]'") from None
        self.writer = SummaryWriter(str(folder))

    def log(self, metrics: Mapping[str, Any], *, step: int) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class WandB:
    """Scalars for Weights & Biases; the run is named after its folder and resumes under the same name."""

    def __init__(self, folder: Path):
        try:
            import wandb
        except ImportError:
            raise UserError("report_to=wandb needs the package: pip install 'heed[wandb]'") from None
        self.run = wandb.init(project="heed", name=folder.name, id=folder.name, dir=str(folder), resume="allow")

    def log(self, metrics: Mapping[str, Any], *, step: int) -> None:
        self.run.log(dict(metrics), step=step)

    def close(self) -> None:
        self.run.finish()


TRACKERS = {"tensorboard": TensorBoard, "wandb": WandB}


def make_trackers(names: list[str], folder: Path) -> list[Any]:
    """The optional trackers by name."""
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"report_to: unknown tracker {name!r}{nearest(name, TRACKERS)}")
    return [TRACKERS[name](folder) for name in names]
