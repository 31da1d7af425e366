"""Agreement by hand."""

import math
import subprocess
import sys

import pytest

from heed.feedback.agreement import Agreement, agree, between_labelers, disputes, matrix, rate_between, with_scores
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


def test_what_people_differ_on_most_comes_first():
    rankings = [ranking(1, "ann", 1, 2), ranking(1, "bob", 2, 1),  # opposite
                ranking(2, "ann", 1, 2, 3), ranking(2, "bob", 1, 3, 2),  # opposite on one pair of three
                ranking(3, "ann", 1, 2), ranking(3, "bob", 1, 1), ranking(4, "ann", 1, 2)]  # a tie is no opposite
    assert disputes(rankings) == [("q1", Agreement(opposite=1)), ("q2", Agreement(same=2, opposite=1))]


def test_the_matrix_is_symmetric_and_empty_where_nothing_is_in_common():
    rankings = [ranking(1, "bob", 1, 2), ranking(1, "ann", 1, 2), ranking(2, "ann", 1, 2), ranking(2, "bob", 2, 1),
                ranking(3, "ann", 1, 2), ranking(3, "eve", 1, 1), ranking(4, "zoe", 1, 2)]  # fmt: skip
    names, rows = matrix(rankings)
    assert names == ["ann", "bob", "eve"], "zoe was alone"
    assert rows == [[None, Agreement(1, 1), Agreement(one_tied=1)], [Agreement(1, 1), None, None],
                    [Agreement(one_tied=1), None, None]]  # fmt: skip


def test_the_rate_of_all_with_its_interval():
    """Three labelers, 1 > 2 twice and 2 > 1 once: of the three pairs of labelers one agrees."""
    same = [ranking(i, who, *ranks) for i in range(30) for who, ranks in (("a", (1, 2)), ("b", (1, 2)), ("c", (2, 1)))]
    found = rate_between(same)
    assert found.value == found.low == found.high == pytest.approx(1 / 3), "all prompts alike"
    assert found.n == 30
    quarter = [ranking(i, who, *((2, 1) if who == "b" and i % 4 == 0 else (1, 2))) for i in range(100) for who in "ab"]
    assert rate_between(quarter).low < rate_between(quarter).value == 0.75 < rate_between(quarter).high
    assert math.isnan(rate_between([ranking(1, "ann", 1, 2)]).value), "nobody to agree with"


def test_people_are_measured_without_numpy():
    """The labelling service is a small install: its pages of figures must not ask for a numerical library."""
    names = ["agreement", "reliability", "habits", "consensus", "prompts", "exchange", "transcripts", "labelers.judge"]
    code = f"import sys, importlib\nfor name in {names!r}: importlib.import_module('heed.feedback.' + name)\n" \
           "print([m for m in ('numpy', 'pyarrow', 'datasets', 'torch', 'scipy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
