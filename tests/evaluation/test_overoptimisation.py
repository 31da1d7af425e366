"""Planted turnovers are found, and none is found where none was planted."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import norm

from heed.errors import UserError
from heed.evaluation.metrics.overoptimisation import best_of_n, overoptimisation, sequence_kl
from heed.evaluation.metrics.scaling import gao_fit


def test_best_of_n_equals_all_subsets():
    rng = np.random.default_rng(0)
    proxy, gold = rng.normal(size=7), rng.normal(size=7)
    for n in (1, 3, 7):
        subsets = [max(c, key=lambda i: proxy[i]) for c in combinations(range(7), n)]
        result = best_of_n([proxy.tolist()], [gold.tolist()], n)
        assert result.gold.value == pytest.approx(gold[subsets].mean())
        assert result.proxy.value == pytest.approx(proxy[subsets].mean())
    assert best_of_n([proxy.tolist()], [gold.tolist()], 1).kl == 0
    assert best_of_n([proxy.tolist()], [gold.tolist()], 4).kl == pytest.approx(np.log(4) - 0.75)


def test_best_of_n_shares_ties():
    assert best_of_n([[1.0, 1.0]], [[0.0, 1.0]], 2).gold.value == 0.5


def test_best_of_many_does_not_overflow():
    proxy = norm.ppf((np.arange(20_000) + 0.5) / 20_000).tolist()
    result = best_of_n([proxy], [proxy], 1000)
    assert result.gold.value == pytest.approx(3.24, abs=0.01)  # E[max of 1000 normals]


def test_best_of_more_than_there_are():
    with pytest.raises(UserError, match="prompt 1 has 2"):
        best_of_n([[1.0, 2.0, 3.0], [1.0, 2.0]], [[1.0, 2.0, 3.0], [1.0, 2.0]], 3)


def test_kl_is_not_clamped():
    assert sequence_kl([[-1.0, 3.0], [-2.0, 0.0]]).value == 0


@pytest.mark.parametrize(("form", "peak"), [("bon", 2.0), ("rl", np.exp(1.0))])
def test_planted_gao_curve_is_recovered(form, peak):
    d = np.linspace(0.2, 5, 40)
    truth = d * (2 - 0.5 * d) if form == "bon" else d * (2 - 1.0 * np.log(d))
    gold = truth + 3 + np.random.default_rng(0).normal(scale=0.05, size=40)
    fit = gao_fit(d**2, gold, form, start=3)
    assert not fit.refused
    free = gao_fit(d**2, gold, form)
    assert free.peak.value == pytest.approx(peak, rel=0.1)
    np.testing.assert_allclose(free.fitted, truth + 3, atol=0.2)
    assert fit.alpha.low < 2 < fit.alpha.high
    assert fit.peak.value == pytest.approx(peak, rel=0.05)
    assert min(fit.r2, fit.r2_held_out) > 0.97
    np.testing.assert_allclose(fit.fitted, truth + 3, atol=0.2)


def test_coefficients_are_refused_before_the_turnover():
    d = np.linspace(0.2, 1.5, 20)
    fit = gao_fit(d**2, d * (2 - 0.5 * d), "bon")
    assert (fit.alpha, fit.beta, fit.peak) == (None, None, None)
    assert "no turnover was observed up to sqrt(KL) = 1.50" in fit.refused
    assert fit.r2 == pytest.approx(1)


def test_the_wrong_law_fits_worse():
    d = np.linspace(0.2, 5, 40)
    gold = d * (2 - 1.0 * np.log(d))
    assert gao_fit(d**2, gold, "rl").r2 > gao_fit(d**2, gold, "bon").r2


def test_few_points_are_refused():
    with pytest.raises(UserError, match="at least 8 points"):
        gao_fit([1.0] * 7 + [0.0], [1.0] * 8, "rl")


def curve(n: int, peak_at: float, noise: float, seed: int) -> np.ndarray:
    x = np.linspace(0, 1, n)
    return 1 - (x - peak_at) ** 2 + np.random.default_rng(seed).normal(scale=noise, size=n)


def test_gaming_is_found_where_it_was_planted():
    found = overoptimisation(curve(100, 0.4, 0.02, 0), curve(100, 1.0, 0.02, 1))
    assert found.verdict == "gamed"
    assert 30 <= found.peak <= 50
    assert found.gold_fall == pytest.approx(0.33, abs=0.05)
    assert found.proxy_change > 0.2


def test_a_policy_that_only_gets_worse_is_not_gaming():
    assert overoptimisation(curve(100, 0.4, 0.02, 0), curve(100, 0.4, 0.02, 1)).verdict == "worse"


def test_rising_gold_is_sound():
    assert overoptimisation(curve(100, 1.0, 0.05, 0), curve(100, 1.0, 0.05, 1)).verdict == "sound"


def test_false_alarms_on_flat_noise_are_rare():
    rng = np.random.default_rng(0)
    alarms = [overoptimisation(rng.normal(size=60), np.linspace(0, 1, 60)).verdict == "gamed" for _ in range(400)]
    assert np.mean(alarms) < 0.025


def test_a_small_dip_after_a_long_climb_is_sound():
    gold = np.concatenate([np.linspace(0, 5, 80), np.linspace(5, 4.8, 20)])
    assert overoptimisation(gold, np.linspace(0, 1, 100)).verdict == "sound"


def test_too_short_to_say():
    assert overoptimisation([1.0] * 11, [1.0] * 11).verdict == "unclear"
