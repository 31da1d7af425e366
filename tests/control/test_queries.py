"""Which pairs are asked about, and how many by when."""

from dataclasses import replace

import numpy as np
import pytest
from corridor import segments

from heed.control.queries import choose, disagreement, entropy, k_centre, labels_due, probabilities


def test_a_quarter_first_the_rest_ever_more_slowly():
    due = [labels_due(t, 10_000_000, 700) for t in (0, 2_000_000, 4_000_000, 10_000_000)]
    assert due[0] == 175 and due[-1] == 700
    # The rate is proportional to 2e6 / (T + 2e6), so the count grows as log(1 + T / 2e6): log 2, log 3, log 6.
    assert due[1] == round(700 * (0.25 + 0.75 * np.log(2) / np.log(6)))
    assert due[2] == round(700 * (0.25 + 0.75 * np.log(3) / np.log(6)))
    rates = np.diff([labels_due(t, 10_000_000, 10**9) for t in range(0, 4_000_001, 1_000)])
    assert rates[0] / rates[2000] == pytest.approx(2, rel=1e-2)  # half as fast after two million steps


def test_the_count_never_falls_and_never_passes_the_budget():
    due = [labels_due(t, 1_000_000, 701) for t in range(0, 1_200_000, 4096)]
    assert due == sorted(due) and max(due) == 701


def test_random_pairs_are_different_segments_each_pair_once_each_segment_before_any_twice():
    pool = segments(np.zeros((10, 2)))
    pairs = choose(pool, 5, np.random.default_rng(0))
    assert sorted(i for p in pairs for i in p) == list(range(10))
    every = choose(pool, 1000, np.random.default_rng(0))
    assert len({frozenset(p) for p in every}) == len(every) == 45
    assert choose(segments(np.zeros((1, 2))), 3, np.random.default_rng(0)) == []


def test_probabilities_are_those_of_equation_1():
    scores = np.array([[0.0, 1.0], [2.0, 1.0]])
    np.testing.assert_allclose(probabilities(scores, [(0, 1)])[:, 0], [1 / (1 + np.e), np.e / (1 + np.e)])


def test_disagreement_asks_where_the_members_contradict_each_other():
    scores = np.array([[5.0, 0, 0, 0.1], [-5.0, 0, 0, 0.2], [5.0, 0, 0, -0.1]])
    pairs = [(1, 2), (0, 1), (2, 3)]
    assert disagreement(probabilities(scores, pairs), 2) == [1, 2]


def test_entropy_asks_where_they_are_unsure_together():
    scores = np.array([[5.0, 0, 0, 0.1], [5.0, 0, 0, 0.1]])
    assert entropy(probabilities(scores, [(0, 1), (2, 3), (1, 2)]), 2) == [2, 1]


def test_k_centre_spreads():
    """Three heaps of segments: three questions come from three different corners."""
    level = np.repeat([0.0, 10.0, -10.0], 4)
    pool = segments(level[:, None] * np.ones((12, 3)))
    pool = replace(pool, actions=np.zeros_like(pool.actions))
    pairs = [(i, j) for i in range(12) for j in range(12) if i != j and level[i] == level[j]]
    chosen = k_centre(pool, pairs, 3)
    assert len({level[pairs[i][0]] for i in chosen}) == 3


@pytest.mark.parametrize("strategy", ["disagreement", "entropy", "k_centre"])
def test_only_what_was_drawn_is_scored(strategy):
    pool, asked = segments(np.random.default_rng(0).normal(size=(50, 3))), []

    def scores(some):
        asked.append(len(some))
        return np.stack([some.rewards.sum(1), -some.rewards.sum(1)])

    pairs = choose(pool, 2, np.random.default_rng(0), strategy=strategy, oversampling=5, scores=scores)
    assert len(pairs) == 2 and (asked == [20] or strategy == "k_centre")


def test_oversampled_disagreement_beats_chance_at_finding_the_contested_pair():
    pool = segments(np.arange(40.0)[:, None] * np.ones((40, 1)))
    said = np.zeros((2, 40))
    said[:, 7] = 4, -4  # the members contradict each other about segment 7 alone
    found = choose(pool, 1, np.random.default_rng(3), strategy="disagreement", oversampling=20,
                   scores=lambda some: np.stack([said[k][some.rewards[:, 0].astype(int)] for k in (0, 1)]))
    assert 7 in found[0]
