"""Elo: by hand, on a known truth, and where it can say nothing."""

import math
import random

import pytest

from heed.errors import UserError
from heed.evaluation.metrics.elo import elo


def test_two_by_hand():
    """3 wins of 4 and the one draw more: odds of 3.5 to 1.5."""
    found = elo([(i, "b", "a", float(i > 0)) for i in range(4)], "a")
    assert found["b"].value == pytest.approx(1000 + 400 * math.log10(3.5 / 1.5))
    assert found["b"].low < found["b"].value < found["b"].high
    assert (found["a"].value, found["a"].low, found["a"].high) == (1000, 1000, 1000)


def test_turning_the_anchor_turns_the_sign():
    duels = [(i, "a", "b", float(i % 3 == 0)) for i in range(30)]
    assert elo(duels, "a")["b"].value + elo(duels, "b")["a"].value == pytest.approx(2000)


def test_a_known_truth_lies_in_the_interval_about_as_often_as_it_should():
    truth, dice, inside = {"sft": 0.0, "one": 150.0, "two": 260.0}, random.Random(0), 0
    for world in range(20):
        duels = []
        for i in range(150):
            a, b = dice.choice([("sft", "one"), ("one", "two")])  # the ends never meet
            won = float(dice.random() < 1 / (1 + 10 ** ((truth[b] - truth[a]) / 400)))
            duels += [(i, a, b, won)] * 2  # a prompt is a prompt, however often it is counted
        two = elo(duels, "sft", seed=world)["two"]
        assert two.n == 150
        inside += two.low < 1260 < two.high
    assert 16 <= inside <= 20


def test_who_won_everything_stays_finite():
    assert 1000 < elo([(i, "b", "a", 1.0) for i in range(9)], "a")["b"].value < 2000


def test_who_met_nobody_of_the_chain_has_none():
    found = elo([(0, "a", "b", 0.5), (1, "c", "d", 1.0)], "a")
    assert set(found) == {"a", "b"} and found["b"].value == pytest.approx(1000)
    assert elo([], "a") == elo([(1, "c", "d", 1.0)], "a") == {}


def test_a_score_that_is_none():
    with pytest.raises(UserError, match="scored 2"):
        elo([(0, "a", "b", 2)], "a")
