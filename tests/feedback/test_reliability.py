"""Agreement beyond chance: the textbooks' examples by hand, and the packages that people trust, to 1e-9."""

import math
import random

import pytest

from heed.errors import UserError
from heed.feedback.reliability import COEFFICIENTS, coefficient, of_two, preferences, rated, reliability
from heed.records import Candidate, Prompt, Ranking, Rating
from heed.testing.store import answer, question

# Krippendorff 2011, page 1: four observers, twelve units, missing values.
OBSERVERS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def units(rows):
    """One row a labeler, "." or None where there is no answer; every unit is a prompt of its own."""
    columns = zip(*rows, strict=True)
    return [(f"p{u}", {f"r{i}": float(v) for i, v in enumerate(column) if v not in (".", None)})
            for u, column in enumerate(columns)]  # fmt: skip


def table(counts):
    """Units of labelers a and b from their table of counts."""
    return [("p", {"a": i, "b": j}) for i, row in enumerate(counts) for j, n in enumerate(row) for _ in range(n)]


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_as_krippendorff_prints_it(level, alpha):
    assert coefficient(f"alpha_{level}", units(OBSERVERS)) == pytest.approx(alpha, abs=5e-4)


def test_cohen_by_hand():
    """Observed 35 of 50; by chance 25/50 * 30/50 + 25/50 * 20/50 = 0.5: (0.7 - 0.5) / 0.5."""
    assert coefficient("cohen", table([[20, 5], [10, 15]])) == pytest.approx(0.4)


def test_fleiss_by_hand():
    """Three labelers, two units: aab and bbb.  (1/3 + 1) / 2 = 2/3; by chance (2/6)^2 + (4/6)^2 = 5/9."""
    assert coefficient("fleiss", units(["12", "12", "22"])) == pytest.approx((2 / 3 - 5 / 9) / (1 - 5 / 9))


def test_ac1_where_nearly_all_say_the_same():
    """118 times both yes, 7 times apart, never both no: they agree on 94 %, and kappa finds that worse than chance."""
    both = table([[118, 5], [2, 0]])
    share = (123 + 120) / 250
    chance = 2 * share * (1 - share)
    assert coefficient("ac1", both) == pytest.approx((118 / 125 - chance) / (1 - chance))
    assert coefficient("ac1", both) == pytest.approx(0.9408, abs=1e-4)
    assert coefficient("cohen", both) < 0


def test_ac1_knows_the_common_value_from_single_answers_too():
    """One unit where two agree on 1 and one that only a single labeler saw: pi = (1/2, 1/2), so chance is 1/2."""
    assert coefficient("ac1", units(["12", "1."])) == pytest.approx((1 - 0.5) / (1 - 0.5))
    assert coefficient("ac1", units(["112", "12."])) == pytest.approx((1 / 2 - 0.5) / (1 - 0.5))


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_one_value_only_says_nothing(name):
    assert math.isnan(coefficient(name, units(["1111", "1111"]))), "not a perfect 1"
    assert math.isnan(coefficient(name, units(["12", ".."]))), "nobody was asked twice"
    assert math.isnan(coefficient(name, []))
    assert coefficient(name, units(["1122", "1122"])) == pytest.approx(1.0)
    figure = reliability(name, units(["1111", "1111"]))
    assert math.isnan(figure.value) and figure.low is None and figure.n == 4


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_answers_at_random_agree_by_chance(name):
    dice = random.Random(0)
    found = reliability(name, units([[dice.randint(1, 4) for _ in range(1000)] for _ in "ab"]))
    assert abs(found.value) < 0.1 and found.low < 0 < found.high
    assert found.n == 1000


def random_rows(dice, missing):
    labelers, n, values = dice.randint(2, 5), dice.randint(3, 30), dice.randint(2, 7)
    favoured = dice.randint(1, values)
    return [[None if dice.random() < missing else dice.choice([dice.randint(1, values), favoured]) for _ in range(n)]
            for _ in range(labelers)]  # fmt: skip


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_equals_krippendorff(level):
    package = pytest.importorskip("krippendorff", reason="the package krippendorff is not installed")
    numpy, dice, compared = pytest.importorskip("numpy"), random.Random(1), 0
    for _ in range(100):
        rows = random_rows(dice, missing=dice.choice([0, 0.2, 0.6]))
        ours = coefficient(f"alpha_{level}", units(rows))
        pairable = [list(u.values()) for _, u in units(rows) if len(u) > 1]
        if len({v for u in pairable for v in u}) < 2:
            assert math.isnan(ours)
            continue
        data = numpy.array([[math.nan if v is None else v for v in row] for row in rows])
        assert ours == pytest.approx(package.alpha(reliability_data=data, level_of_measurement=level), abs=1e-9)
        compared += 1
    assert compared > 80


def test_kappas_equal_statsmodels():
    package = pytest.importorskip("statsmodels.stats.inter_rater", reason="the package statsmodels is not installed")
    numpy, dice = pytest.importorskip("numpy"), random.Random(2)
    for _ in range(100):
        rows = random_rows(dice, missing=0)
        counts, _ = package.aggregate_raters(numpy.array(rows).T)
        if counts.shape[1] > 1:
            assert coefficient("fleiss", units(rows)) == pytest.approx(package.fleiss_kappa(counts), abs=1e-9)
        if len({*rows[0], *rows[1]}) > 1:
            two = package.to_table(numpy.array(rows[:2]).T)[0]
            assert coefficient("cohen", units(rows[:2])) == pytest.approx(package.cohens_kappa(two).kappa, abs=1e-9)


def test_interval_alpha_takes_any_numbers():
    """Thousands of different scores, far from zero: no table of pairs, no cancellation."""
    dice = random.Random(3)
    truth = [dice.gauss(0, 1) for _ in range(3000)]
    rows = [[1e6 + x + dice.gauss(0, 0.5) for x in truth] for _ in "ab"]
    assert coefficient("alpha_interval", units(rows)) == pytest.approx(0.8, abs=0.02), "1 / (1 + 0.25)"
    with pytest.raises(UserError, match="6000 different values"):
        coefficient("alpha_ordinal", units(rows))


def test_cohen_is_of_two():
    with pytest.raises(ValueError, match="a unit has 3"):
        coefficient("cohen", units(["12", "12", "21"]))
    three = units(["12.", "112", "121"])
    assert of_two(three, "r0", "r2") == [("p0", {"r0": 1, "r2": 1}), ("p1", {"r0": 2, "r2": 2})]


def test_the_interval_is_over_prompts():
    """Ten answers to each of fifty prompts that are all alike are fifty answers, not five hundred."""
    dice = random.Random(4)
    once = [(f"p{i}", {"a": dice.randint(0, 1), "b": dice.randint(0, 1)}) for i in range(50)]
    single, repeated = reliability("fleiss", once), reliability("fleiss", [unit for unit in once for _ in range(10)])
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))
    apart = reliability("fleiss", [(f"{p} {k}", unit) for p, unit in once for k in range(10)])
    assert apart.high - apart.low < 0.5 * (single.high - single.low)


def test_preferences_of_rankings():
    asked = question(1, 3)
    rankings = [Ranking(asked, answer(asked, who, ranks)) for who, ranks in (("ann", (1, 2, 2)), ("bob", (2, 1, 3)))]
    found = preferences(rankings)
    assert [prompt for prompt, _ in found] == [asked.prompt.id] * 3
    signs = {frozenset(unit.items()) for _, unit in found} | {frozenset((w, -v) for w, v in u.items()) for _, u in found}
    assert frozenset({("ann", 1), ("bob", -1)}) in signs, "a and b: opposite"
    assert frozenset({("ann", 1), ("bob", 1)}) in signs, "a and c: the same"
    assert frozenset({("ann", 0), ("bob", 1)}) in signs, "b and c: tied for ann"


def test_no_side_of_a_pair_is_favoured():
    """All prefer the first candidate; were that one always called 1, the only value would be 1 and alpha NaN."""
    rankings = [Ranking(q, answer(q, who, (1, 2))) for q in map(question, range(400)) for who in ("ann", "bob")]
    ones = sum(unit["ann"] == 1 for _, unit in preferences(rankings))
    assert 150 < ones < 250
    assert reliability("alpha_nominal", preferences(rankings)).value == pytest.approx(1.0)


def test_ratings_of_one_dimension():
    prompt, text = Prompt("p"), Candidate("t", id="c")
    ratings = [Rating(prompt, text, who, scores, 1, 7) for who, scores in
               (("ann", {"tone": 3, "truth": 5}), ("bob", {"tone": 4}), ("ann", {"tone": 2}))]  # fmt: skip
    assert rated(ratings, "tone") == [(prompt.id, {"ann": 2, "bob": 4})]
    assert rated(ratings, "truth") == [(prompt.id, {"ann": 5})]
