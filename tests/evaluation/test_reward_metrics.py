"""A reward model with known noise, known bias and known calibration is found to have just that."""

import numpy as np
import pytest

from heed.errors import RunError, UserError
from heed.evaluation.metrics.calibration import calibration
from heed.evaluation.metrics.preference import (
    accuracy_by_category,
    accuracy_by_margin,
    accuracy_controls,
    length_correlation,
    pairwise_accuracy,
)


def calibrated_pairs(n: int, seed: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Rewards of (chosen, rejected); people prefer by sigmoid of the difference, `scale` makes the model too sure."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=n), rng.normal(size=n)
    a_wins = rng.random(n) < 1 / (1 + np.exp(-(a - b)))
    return scale * np.where(a_wins, a, b), scale * np.where(a_wins, b, a)


def differences(chosen: np.ndarray, rejected: np.ndarray) -> tuple[np.ndarray, list[int]]:
    return chosen - rejected, [1] * len(chosen)


def test_accuracy_by_hand():
    estimate = pairwise_accuracy([2, 1, 1, 0], [1, 1, 0, 1])
    assert estimate.value == (1 + 0.5 + 1 + 0) / 4
    assert accuracy_by_category([2, 0], [1, 1], ["long", "short"])["short"].value == 0


def test_label_noise_caps_the_accuracy():
    """A perfect model on labels flipped with p = 0.2 reaches 0.8, not more."""
    rng = np.random.default_rng(0)
    better, worse = np.ones(3000), np.zeros(3000)
    flipped = rng.random(3000) < 0.2
    estimate = pairwise_accuracy(np.where(flipped, worse, better), np.where(flipped, better, worse))
    assert estimate.low < 0.8 < estimate.high
    assert estimate.method == "Wilson"


def test_controls():
    controls = accuracy_controls([9, 8, 7] * 100, [1, 9, 1] * 100)
    assert controls["constant"].value == 0.5
    assert controls["oracle"].value == 1.0
    assert controls["longer"].value == pytest.approx(2 / 3)
    assert controls["random"].low < 0.5 < controls["random"].high


def test_a_model_that_says_nan_gets_no_score():
    with pytest.raises(RunError, match="rejected"):
        pairwise_accuracy([1.0], [float("nan")])
    with pytest.raises(RunError):
        calibration([float("inf")], [1])
    with pytest.raises(UserError, match="no pairs"):
        pairwise_accuracy([], [])


def test_accuracy_grows_with_the_margin():
    bins = accuracy_by_margin(*calibrated_pairs(4000, 0), bins=4)
    assert [b.accuracy.n for b in bins] == [1000] * 4
    assert bins[0].high <= bins[1].low
    assert bins[0].accuracy.value < 0.6 < 0.8 < bins[-1].accuracy.value


def test_calibrated_models_fall_in_their_null_band():
    inside = 0
    for seed in range(40):
        result = calibration(*differences(*calibrated_pairs(300, seed)), simulations=200)
        inside += result.ece <= result.null_95
        assert 0.02 < result.null_mean < 0.09
    assert inside >= 34  # 38 expected; 33 or fewer has p < 0.02


def test_overconfidence_is_found_and_measured():
    result = calibration(*differences(*calibrated_pairs(3000, 1, scale=3.0)))
    assert result.ece > 2 * result.null_95
    assert result.temperature == pytest.approx(3.0, rel=0.15)
    assert result.nll_at_temperature < result.nll - 0.1
    assert sum(b.n for b in result.bins) == 3000
    assert result.bins[-1].confidence > 0.95 > result.bins[-1].accuracy


def test_a_coin():
    result = calibration([0.0] * 50, [1] * 50)
    assert (result.brier, result.ece) == (0.25, 0)
    assert result.nll == pytest.approx(np.log(2))
    assert result.temperature is None


def test_the_order_in_which_a_pair_is_written_does_not_matter():
    delta, outcome = np.array([0.5, -1.0, 2.0, 0.3]), np.array([1, 1, 0, 0.5])
    one, other = calibration(delta, outcome), calibration(-delta, 1 - outcome)
    assert (one.ece, one.brier, one.nll) == pytest.approx((other.ece, other.brier, other.nll))
    with pytest.raises(UserError, match="something else"):
        calibration([1.0], [2.0])


def test_no_temperature_where_none_exists():
    always_right = calibration([1.0, 2.0], [1, 1])
    assert (always_right.temperature, always_right.nll_at_temperature) == (None, 0)
    mostly_wrong = calibration([-1.0, -2.0, 1.0], [1, 1, 1])
    assert mostly_wrong.temperature is None
    assert mostly_wrong.nll_at_temperature == pytest.approx(np.log(2))


def test_length_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 50, 200).astype(float)
    rewards = np.exp(lengths / 20) + rng.normal(size=200) * 2
    estimate = length_correlation(rewards, lengths)
    assert estimate.value == pytest.approx(spearmanr(rewards, lengths).statistic)
    assert estimate.low < estimate.value < estimate.high
    assert length_correlation([1.0, 1.0], [3, 4]).value == 0
