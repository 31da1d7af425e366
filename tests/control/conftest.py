"""The corridor of corridor.py is found by its name."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)


@pytest.fixture(params=["Corridor", "Buttons"])
def world(request):
    """The corridor, walked continuously or by two buttons."""
    import corridor

    return getattr(corridor, request.param)
