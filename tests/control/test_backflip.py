"""What the study of the backflip counts, what the rule of HopperFlip prefers, and what is seen there."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from heed.control.environments import make
from heed.control.environments.tasks import TASKS, Step

STUDY = Path(__file__).parents[2] / "studies" / "christiano2017" / "backflip.py"


@pytest.fixture(scope="module")
def backflip():
    spec = importlib.util.spec_from_file_location("backflip", STUDY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def states(turns, height=1.25, steps=200):
    """A Hopper that turns over steadily, backwards where `turns` is positive."""
    made = np.zeros((steps, 12))
    made[:, 1], made[:, 2] = height, -np.linspace(0, 2 * np.pi * turns, steps)
    return made


@pytest.mark.parametrize("turns, height, counted", [
    (1, 1.25, 1), (2, 1.25, 2), (0.8, 1.25, 0), (-2, 1.25, 0), (2, 0.3, 0)],
    ids=["one", "two", "not all the way", "forwards", "rolling on the floor"])
def test_a_flip_is_a_whole_turn_backwards_from_standing_to_standing(backflip, turns, height, counted):
    assert backflip.flips(states(turns, height)) == counted


def test_a_flip_that_never_comes_to_stand_does_not_count(backflip):
    fallen = states(1)
    fallen[120:, 1] = 0.2
    assert backflip.flips(fallen) == 0


def test_the_rule_prefers_turning_backwards_high_up_then_standing():
    def worth(made):
        return TASKS["HopperFlip"].reward(Step(made[:-1, :6], made[1:, :6], made[1:, 6:], np.zeros((199, 3)), 0.008)).sum()

    best_first = [states(0.5), states(0.5, 0.3), states(0.0), states(0.0, 0.2), states(-0.5)]
    found = [worth(made) for made in best_first]
    assert found == sorted(found, reverse=True) and len(set(found)) == len(found)


def test_who_has_turned_over_sees_what_it_saw_before():
    env = make("HopperFlip", 2, 0)
    env.begin()
    env.physics[1] = env.physics[0]
    env.physics[1, 3] -= 2 * np.pi
    one, other = env._see()
    assert env.obs_size == make("Hopper", 1, 0).obs_size + 1
    np.testing.assert_allclose(one, other, atol=1e-6)
