"""The only module that knows other ranks exist.

Ranks hold the same model and see the same batches; each takes every size-th row of a batch, and the gradients are added.
Losses are sums and counts, so any number of ranks computes the same step.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from heed.errors import RunError


@dataclass(frozen=True)
class Ranks:
    """This process among `size` that train together; one process takes no distributed branch at all."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def share(self, index):
        """The part of `index` that is this rank's to compute."""
        return index[self.rank :: self.size]

    def add(self, *values: float) -> list[float]:
        """Each value summed over all ranks."""
        if self.size == 1:
            return list(values)
        import torch

        box = torch.tensor(values, dtype=torch.float64)
        self._reduce(box)
        return box.tolist()

    def add_gradients(self, parameters: Iterable) -> None:
        """Sum every gradient over all ranks, in one message; a parameter without one counts as zeros."""
        if self.size == 1:
            return
        import torch

        parameters = list(parameters)
        flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in parameters])
        self._reduce(flat)
        for p, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            p.grad = part.view_as(p)

    def _reduce(self, box) -> None:
        import torch.distributed as dist

        try:
            dist.all_reduce(box)
        except RuntimeError as error:
            raise RunError(f"another process of this run has died ({str(error).splitlines()[0]}); "
                           "the same command goes on from the last checkpoint") from None


def join(verb: str, settings_yaml: str, output_dir: str, processes: int) -> Ranks:
    """This process's place among `processes` on this machine, the others started as `heed <verb>` with the same settings.

    Under torchrun, the place it gives.  One process is one process: nothing is imported.
    """
    if "HEED_RENDEZVOUS" in os.environ or int(os.environ.get("WORLD_SIZE", 1)) > 1:
        size = int(os.environ["WORLD_SIZE"])
        return _meet(int(os.environ["RANK"]), size, os.environ.get("HEED_RENDEZVOUS"))
    if processes <= 1:
        return Ranks()
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    meeting, config = folder / f".rendezvous.{os.getpid()}", folder / ".ranks.yaml"
    meeting.unlink(missing_ok=True)
    config.write_text(settings_yaml, encoding="utf-8")
    for rank in range(1, processes):
        place = {"RANK": str(rank), "WORLD_SIZE": str(processes), "HEED_RENDEZVOUS": str(meeting)}
        subprocess.Popen([sys.executable, "-m", "heed", verb, "--config", str(config)], env={**os.environ, **place},
                         stdout=subprocess.DEVNULL)
    return _meet(0, processes, str(meeting))


def _meet(rank: int, size: int, meeting: str | None) -> Ranks:
    import torch.distributed as dist

    if meeting:  # all on this machine
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        dist.init_process_group("gloo", init_method=f"file://{Path(meeting).absolute()}", rank=rank, world_size=size)
        if rank == 0:
            Path(meeting).unlink(missing_ok=True)
    else:
        dist.init_process_group("gloo")
    return Ranks(rank, size)
