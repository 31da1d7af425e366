"""The only module that knows other ranks exist."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ranks:
    """This process among `size` that train together; one process takes no distributed branch at all."""

    rank: int = 0
    size: int = 1

    def add(self, x: float) -> float:
        """The sum of `x` over all ranks."""
        if self.size == 1:
            return x
        import torch
        import torch.distributed as dist

        box = torch.tensor(x, dtype=torch.float64)
        dist.all_reduce(box)
        return box.item()
