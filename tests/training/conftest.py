"""The smallest world that training can be seen in: training_world.py."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from training_world import make_batch


@pytest.fixture
def batch():
    """Seven rows of 1 to 6 steps."""
    return make_batch()
