"""What depends on the step alone: the learning rate, the order of the data, the seeds.

Because each is a function of (seed, step), a run that was killed needs only its step to go on exactly as it would have.
"""

import math
import random
from collections.abc import Iterator
from hashlib import sha256
from typing import Literal

import torch

Shape = Literal["constant", "linear", "cosine"]


def learning_rate(step: int, total: int, peak: float, shape: Shape = "linear", warmup: int = 0) -> float:
    """Rate of step 0..total-1: up linearly over `warmup` steps, then constant, linear to 0, or a half cosine to 0."""
    if step < warmup:
        return peak * (step + 1) / warmup
    left = 1 - (step - warmup) / max(1, total - warmup)
    return peak * {"constant": 1.0, "linear": left, "cosine": 0.5 * (1 - math.cos(math.pi * left))}[shape]


def seed_of(*parts: object) -> int:
    """A 63-bit seed that any change in `parts` changes."""
    return int.from_bytes(sha256(repr(parts).encode()).digest()[:8], "little") >> 1


def seed_everything(*parts: object) -> None:
    """Seed torch's and Python's global generators for what follows."""
    seed = seed_of(*parts)
    torch.manual_seed(seed)
    random.seed(seed)


def batch_indices(step: int, rows: int, batch_size: int, seed: int) -> list[int]:
    """Which rows step `step` reads: epochs of fresh permutations, laid end to end and cut into batches."""
    epoch, start = divmod(step * batch_size, rows)
    picked: list[int] = []
    while len(picked) < batch_size:
        order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed_of("order", seed, epoch)))
        picked += order[start : start + batch_size - len(picked)].tolist()
        epoch, start = epoch + 1, 0
    return picked


def epoch_batches(rows: int, batch_size: int, seed: int, epoch: int) -> Iterator[list[int]]:
    """Every row once, in batches; the last one may be smaller."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed_of("order", seed, epoch))).tolist()
    for start in range(0, rows, batch_size):
        yield order[start : start + batch_size]
