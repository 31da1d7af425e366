"""Rows of uneven length and a model of four numbers: enough to see what a step does, exactly."""

import pytest
import torch
from torch import nn

from heed.equations.loss import summed

torch.set_num_threads(1)


class Ragged:
    """Rows x [B, T, 3] of which a mask [B, T] counts; the target of every step is the same for all."""

    def __init__(self, x, mask):
        self.x, self.mask = x, mask

    def __len__(self):
        return len(self.x)

    @property
    def count(self):
        return self.mask.sum()

    def select(self, index):
        return Ragged(self.x[index], self.mask[index])


def squared(model, batch):
    """Squared error of model(x) against 1, over the steps that count."""
    error = (model(batch.x).squeeze(-1) - 1) ** 2
    return summed(error, batch.mask, error=error)


def make_batch(rows=7, seed=0):
    """Rows of 1 to 6 steps."""
    g = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 7, (rows,), generator=g)
    return Ragged(torch.randn(rows, 6, 3, generator=g), (torch.arange(6)[None] < lengths[:, None]).float())


def make_model(out=1, seed=1):
    torch.manual_seed(seed)
    return nn.Linear(3, out)


@pytest.fixture
def batch():
    return make_batch()


@pytest.fixture
def model():
    return make_model()
