"""Intervals that cover the truth as often as they say, on worlds where the truth is known."""

import numpy as np
import pytest

from heed.errors import RunError, UserError
from heed.evaluation.estimate import Estimate, bootstrap, by_cluster, finite, share, wilson
from heed.evaluation.metrics.means import difference, mean
from heed.evaluation.metrics.winning import win_rate


def test_wilson_by_hand():
    # 20 of 20: (1 + z^2/40 +- z sqrt(z^2/1600)) / (1 + z^2/20) = [1 / (1 + z^2/20), 1], z^2 = 3.8415
    low, high = wilson(1.0, 20)
    assert low == pytest.approx(1 / (1 + 3.8415 / 20), abs=1e-4)
    assert high == 1.0
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_rows_of_one_prompt_are_summed_in_order_of_appearance():
    columns = np.array([[1.0, 1], [2, 1], [4, 1]])
    assert by_cluster(columns, ["b", "a", "b"]).tolist() == [[5, 2], [2, 1]]


def test_clustered_interval_covers_and_the_naive_one_does_not():
    """Prompts differ in how often A wins; each gives 16 outcomes.  Truth: the mean of Beta(1, 1) is 0.5."""
    rng = np.random.default_rng(1)
    clustered = naive = 0
    worlds, prompts, each = 200, 100, 16
    for world in range(worlds):
        wins = rng.binomial(each, rng.random(prompts)).astype(float)
        estimate = share(np.stack([wins, np.full(prompts, each)], axis=1), seed=world)
        clustered += estimate.low <= 0.5 <= estimate.high
        low, high = wilson(wins.sum() / (prompts * each), prompts * each)
        naive += low <= 0.5 <= high
    assert clustered / worlds > 0.91
    assert naive / worlds < 0.75


def test_few_prompts_still_cover():
    """The t widening: with 6 prompts the plain percentile bootstrap covers about 85 %."""
    rng = np.random.default_rng(2)
    covered = 0
    for world in range(400):
        clusters = np.stack([rng.normal(size=6), np.ones(6)], axis=1)
        low, high = bootstrap(clusters, lambda s: s[:, 0] / s[:, 1], seed=world, resamples=1000)
        covered += low <= 0 <= high
    assert 0.91 < covered / 400 < 0.985


def test_the_same_seed_gives_the_same_interval():
    rows = np.random.default_rng(0).normal(size=(30, 4)).tolist()
    assert mean(rows, seed=3) == mean(rows, seed=3)
    assert mean(rows, seed=3) != mean(rows, seed=4)


def test_mean_weighs_every_sample_alike_and_one_prompt_has_no_interval():
    assert mean([[1.0, 2.0], [6.0]]).value == 3.0
    alone = mean([[1.0, 2.0]])
    assert (alone.low, alone.high, alone.n) == (None, None, 1)
    assert alone.summary() == {"value": 1.5, "n": 1}


def test_paired_difference_is_narrower_than_two_means():
    """What makes a prompt hard is common to both, so it must not widen the interval of the difference."""
    rng = np.random.default_rng(0)
    hardness = rng.normal(scale=5, size=100)
    a, b = hardness + 1 + rng.normal(size=100) * 0.1, hardness + rng.normal(size=100) * 0.1
    gap = difference(a.tolist(), b.tolist())
    assert gap.low < 1 < gap.high
    assert gap.high - gap.low < 0.1 < mean(a.tolist()).high - mean(a.tolist()).low


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_what_is_not_finite_is_an_error_and_never_a_score(bad):
    for measure in (lambda: mean([1.0, bad]), lambda: win_rate([[1.0, bad]], [[0.0]]), lambda: finite([1, bad], "x")):
        with pytest.raises(RunError, match="expected a finite number"):
            measure()


def test_wrong_shapes_name_both_sides():
    with pytest.raises(UserError, match="3 a, 2 b"):
        difference([1.0, 2, 3], [1.0, 2])
    with pytest.raises(UserError, match="empty"):
        mean([])
    with pytest.raises(UserError, match=r"values\[1\] has no samples"):
        mean([[1.0], []])


def test_summary_shape():
    assert Estimate(0.5, 0.4, 0.6, 9, "x").summary() == {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9}
