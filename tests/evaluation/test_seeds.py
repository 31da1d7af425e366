"""Figures over several trainings: by hand, and covering what they promise to cover."""

import numpy as np
import pytest

from heed.errors import UserError
from heed.evaluation.metrics.seeds import mean_over_seeds, win_rate_over_seeds


def test_by_hand():
    """Two trainings of A against one of B on two prompts: 4 pairs of prompts, wins 1, 1/2, 0, 1."""
    a, b = [[[1.0], [0.0]], [[2.0], [3.0]]], [[[1.0], [1.0]]]
    assert win_rate_over_seeds(a, b).value == (0.5 + 0 + 1 + 1) / 4
    assert mean_over_seeds(a).value == 1.5


def test_with_itself_and_the_other_way_round():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 40, 4)).tolist(), rng.normal(0.3, 1, size=(3, 40, 4)).tolist()
    assert win_rate_over_seeds([a[0]], [a[0]]).value == 0.5
    there, back = win_rate_over_seeds(a, b), win_rate_over_seeds(b, a)
    assert there.value == pytest.approx(1 - back.value) and there.low == pytest.approx(1 - back.high, abs=0.02)


def test_luck_of_training_widens_the_interval():
    """Trainings that differ among themselves say less than as many answers of one."""
    rng = np.random.default_rng(1)
    luck = rng.normal(0, 1, (6, 1, 1))
    a = (rng.normal(size=(6, 60, 4)) + luck).tolist()
    b = rng.normal(size=(6, 60, 4)).tolist()
    lucky = win_rate_over_seeds(a, b)
    pooled = win_rate_over_seeds([[[x for s in a for x in s[p]] for p in range(60)]], [b[0]])
    assert lucky.high - lucky.low > 2 * (pooled.high - pooled.low)


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    """Eight trainings, the mean of which is 0."""
    hits = 0
    for i in range(60):
        rng = np.random.default_rng(i)
        values = (rng.normal(size=(8, 30, 2)) + rng.normal(0, 0.7, (8, 1, 1)) + rng.normal(0, 0.5, (1, 30, 1))).tolist()
        e = mean_over_seeds(values)
        hits += e.low < 0 < e.high
    assert 48 <= hits <= 60


def test_other_prompts_are_refused():
    with pytest.raises(UserError, match="the same prompts"):
        win_rate_over_seeds([[[1.0]]], [[[1.0], [2.0]]])
