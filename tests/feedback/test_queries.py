"""Choosing questions: one contract for all ways, and small pools where the best choice can be seen."""

import numpy as np
import pytest

from heed.errors import UserError
from heed.feedback.queries import QUERIES, Pool, choose


def pool(n=40, members=3, seed=0):
    rng = np.random.default_rng(seed)
    return Pool([rng.normal(size=(members, 2 + i % 4)) for i in range(n)], rng.normal(size=(n, 5)))


@pytest.fixture(params=QUERIES)
def how(request):
    return request.param


def test_distinct_places_of_the_pool(how):
    for n in (0, 1, 7, 40, 99):
        chosen = choose(how, pool(), n)
        assert len(set(chosen)) == len(chosen) == min(n, 40)
        assert set(chosen) <= set(range(40))


def test_the_first_of_more_are_those_of_fewer(how):
    assert choose(how, pool(), 7) == choose(how, pool(), 30)[:7]


def test_the_same_seed_chooses_the_same_and_the_pool_is_left_alone(how):
    asked = pool()
    before = [s.copy() for s in asked.scores], asked.features.copy()
    assert choose(how, asked, 9, seed=4) == choose(how, asked, 9, seed=4)
    assert all(map(np.array_equal, before[0], asked.scores)) and np.array_equal(before[1], asked.features)


def test_what_is_equally_wanted_is_drawn(how):
    """Else the questions at the head of a file would be asked again and again."""
    same = Pool([np.ones((2, 2))] * 30, np.ones((30, 2)))
    assert len({tuple(choose(how, same, 3, seed=seed)) for seed in range(20)}) > 10
    assert sorted(choose(how, same, 30)) == list(range(30))


def test_a_reward_has_no_zero(how):
    """A constant added to every answer of a question, by one member, changes no preference and no choice."""
    asked = pool()
    rng = np.random.default_rng(1)
    moved = Pool([s + rng.normal(size=(len(s), 1)) for s in asked.scores], asked.features)
    assert choose(how, moved, 40) == choose(how, asked, 40)


def test_an_empty_pool(how):
    assert choose(how, Pool([]), 3) == []


def test_random_is_uniform():
    counts = np.bincount([choose("random", pool(10), 1, seed=seed)[0] for seed in range(2000)], minlength=10)
    assert abs(counts - 200).max() < 4 * np.sqrt(2000 * 0.1 * 0.9)


def test_disagreement_by_hand():
    """Variance of sigmoid(+-2) = 0.8808 and 0.1192 is 0.38^2; members who agree firmly or are all unsure have none."""
    firm, unsure, split = [[4, 0], [4, 0]], [[0, 0], [0, 0]], [[2, 0], [0, 2]]
    mild = [[1, 0], [0, 1]]
    assert choose("disagreement", Pool([firm, mild, unsure, split]), 2) == [3, 1]


def test_disagreement_is_the_mean_over_pairs():
    one_pair_split = [[2, 0, -9], [0, 2, -9]]  # a third that all find worst: variance 0.1450 / 3 and a little
    assert choose("disagreement", Pool([one_pair_split, [[1, 0], [0, 1]]]), 1) == [1], "0.0483 is less than 0.0534"


def test_margin_by_hand():
    gaps = Pool([[[1.0, 0.0]], [[0.3, 0.0]], [[5.0, 2.0, 1.9]]])
    assert choose("margin", gaps, 3) == [2, 1, 0]
    assert choose("margin", Pool([[[3, 0], [-3, 0]], [[1, 0], [1, 0]]]), 1) == [0], "the mean of the members decides"


def test_diversity_by_hand():
    """From 0 the farthest is 10, then 5 in the middle; then 1 and 9 are both one away from a neighbour."""
    line = np.array([[0.0], [1.0], [9.0], [10.0], [5.0]])
    asked = Pool([np.zeros((1, 2))] * 5, line, asked=np.array([[0.0]]))
    assert choose("diversity", asked, 2) == [3, 4]
    assert {choose("diversity", asked, 3, seed=seed)[2] for seed in range(20)} == {1, 2}


def test_diversity_covers_clusters():
    """Ten tight clusters: ten questions, one from each, whatever the start."""
    rng = np.random.default_rng(0)
    where = np.repeat(np.arange(10) * 100.0, 20)[:, None] + rng.normal(size=(200, 1))
    asked = Pool([np.zeros((1, 2))] * 200, where)
    for seed in range(5):
        assert {i // 20 for i in choose("diversity", asked, 10, seed=seed)} == set(range(10))


@pytest.mark.parametrize(("how", "bad", "message"), [
    ("disagrement", pool(), "did you mean 'disagreement'"),
    ("disagreement", Pool([np.zeros((2, 2))] * 2 + [np.zeros((1, 2))]), "question 2 has scores of 1"),
    ("disagreement", Pool([np.zeros(2)]), r"question 0 has scores of shape \(2,\)"),
    ("margin", Pool([[[1.0]]]), "at least 2 candidates"),
    ("margin", Pool([[[1.0, float("nan")]]]), "question 0 has a score that is not a number"),
    ("diversity", Pool([np.zeros((1, 2))] * 2), "features of all 2 questions; found none"),
    ("diversity", Pool([np.zeros((1, 2))] * 2, np.zeros((1, 3))), "found 1"),
])  # fmt: skip
def test_mistakes_are_named(how, bad, message):
    with pytest.raises(UserError, match=message):
        choose(how, bad, 1)


def test_a_negative_number_is_named():
    with pytest.raises(UserError, match="-1 questions"):
        choose("random", pool(), -1)
