import numpy as np
import pytest

from heed.errors import UserError
from heed.evaluation.metrics.length_control import length_controlled_win_rate
from heed.evaluation.metrics.winning import win_rate


def test_by_hand():
    # prompt 1: (3,1) against (2): one win, one loss; prompt 2: a tie
    result = win_rate([[3.0, 1.0], [5.0]], [[2.0], [5.0]])
    assert (result.wins, result.ties, result.losses) == (1, 1, 1)
    assert result.rate.value == 0.5
    assert result.rate.n == 2


def test_a_policy_against_itself_and_swapped():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 3)).tolist(), rng.normal(0.3, size=(40, 3)).tolist()
    itself = win_rate(a, a)
    assert itself.rate.value == 0.5
    assert itself.p_value == 1.0
    ab, ba = win_rate(a, b), win_rate(b, a)
    assert ab.rate.value == pytest.approx(1 - ba.rate.value)
    assert ab.rate.low == pytest.approx(1 - ba.rate.high, abs=0.01)
    assert ab.p_value == pytest.approx(ba.p_value)


def test_identical_answers_still_have_an_interval():
    """All ties: the bootstrap would have no width, but 20 prompts do not prove that A and B are the same."""
    rate = win_rate([1.0] * 20, [1.0] * 20).rate
    assert rate.value == 0.5
    assert rate.low < 0.35
    assert rate.high > 0.65


def test_wilson_for_plain_wins_and_losses():
    rate = win_rate([1.0] * 20, [0.0] * 20).rate
    assert (rate.method, rate.high) == ("Wilson", 1.0)
    assert 0.8 < rate.low < 0.9


def test_permutation_p_is_exact_for_few_prompts():
    # 4 prompts all won: 2 of the 16 sign patterns are as extreme
    assert win_rate([1.0] * 4, [0.0] * 4).p_value == pytest.approx(2 / 16)


def test_permutation_p_is_uniform_when_nothing_differs():
    rng = np.random.default_rng(5)
    p = [win_rate(rng.normal(size=(30, 2)).tolist(), rng.normal(size=(30, 2)).tolist()).p_value for _ in range(100)]
    assert 0.0 <= np.mean(np.array(p) < 0.05) <= 0.12
    assert 0.35 < np.mean(p) < 0.65


def test_detectable_difference_is_found_four_times_out_of_five():
    """200 prompts, one sample each: 2.8 standard errors of sqrt(0.25 / 200)."""
    rng = np.random.default_rng(0)
    result = win_rate(rng.normal(size=200).tolist(), rng.normal(size=200).tolist())
    assert result.detectable == pytest.approx(2.8016 * np.sqrt(0.25 / 200), rel=0.02)


def test_rows_with_one_id_are_one_prompt():
    rng = np.random.default_rng(0)
    quality = rng.choice([-2.0, 2.0], size=20)
    a = (np.repeat(quality, 10) + rng.normal(size=200)).tolist()
    separate = win_rate(a, [0.0] * 200).rate
    together = win_rate(a, [0.0] * 200, prompt_ids=np.repeat(np.arange(20), 10).tolist()).rate
    assert (separate.n, together.n) == (200, 20)
    assert together.high - together.low > 2 * (separate.high - separate.low)


def test_planted_length_bias_is_removed():
    """The judge adds 1.5 logits a tanh unit of length; at equal length A is preferred with sigmoid(0.4) = 0.599."""
    rng = np.random.default_rng(0)
    n = 4000
    gap = rng.normal(0.8, 1.0, n)
    won = rng.random(n) < 1 / (1 + np.exp(-(0.4 + 1.5 * np.tanh(gap / gap.std()))))
    result = length_controlled_win_rate(won.astype(float).tolist(), [0.5] * n, (100 + gap).tolist(), [100.0] * n)
    assert result.raw > 0.69
    assert result.rate.value == pytest.approx(0.599, abs=0.03)
    assert result.rate.low < 0.599 < result.rate.high
    assert result.length_effect.low < 1.5 < result.length_effect.high


def test_equal_lengths_leave_the_win_rate_alone():
    result = length_controlled_win_rate([1.0, 1, 1, 0] * 25, [0.5] * 100, [7] * 100, [7] * 100)
    assert result.rate.value == pytest.approx(0.75, abs=1e-3)
    assert result.length_effect.value == 0


def test_length_control_needs_paired_samples():
    with pytest.raises(UserError, match="2 a, 1 b"):
        length_controlled_win_rate([[1.0, 2.0]], [[1.0]], [[3, 4]], [[3]])
