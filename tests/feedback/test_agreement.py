"""Agreement by hand."""

import math

from heed.feedback.agreement import Agreement, agree, between_labelers, with_scores
from heed.records import Ranking
from heed.testing.store import answer, question


def ranking(i, labeler, *ranks):
    asked = question(i, len(ranks))
    return Ranking(asked, answer(asked, labeler, ranks))


def test_pairs_by_hand():
    # 1 and 2: same; 1 and 3: only the second side prefers one; 2 and 3: opposite; 4 is the last for both
    assert agree([1, 2, 1, 3], [1, 2, 3, 4]) == Agreement(same=4, opposite=1, one_tied=1)
    assert agree([1, 1], [2, 2]) == Agreement(both_tied=1)
    assert Agreement(4, 1, 1).rate == 0.8
    assert math.isnan(Agreement(both_tied=3).rate), "nothing decided is no agreement"


def test_between_labelers():
    rankings = [ranking(1, "bob", 1, 2), ranking(1, "ann", 1, 2), ranking(2, "ann", 1, 2), ranking(2, "bob", 2, 1),
                ranking(3, "ann", 1, 2), ranking(3, "eve", 1, 1)]  # fmt: skip
    assert between_labelers(rankings) == {("ann", "bob"): Agreement(1, 1), ("ann", "eve"): Agreement(one_tied=1)}


def test_with_scores():
    rankings = [ranking(1, "ann", 1, 2, 3), ranking(2, "ann", 1, 2), ranking(3, "ann", 1, 2)]
    scores = {"q1": [9.0, 1.0, 5.0], "q2": [2.0, 2.0]}
    assert with_scores(rankings, scores) == Agreement(same=2, opposite=1, one_tied=1)
