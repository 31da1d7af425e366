"""The second opinion on reviews: pieces by hand, and what it learns from a handful."""

import pytest

from heed.errors import UserError
from heed.language.rewards.sentiment import PIECE, classifier, fit, gold, pieces
from heed.records import Candidate, Prompt, Rating


def review(text, stars):
    return Rating(Prompt(""), Candidate(text), "x", {"stars": float(stars)}, 1.0, 10.0)


def test_pieces_are_as_long_as_what_a_policy_writes():
    words = [f"w{i}" for i in range(2 * PIECE + PIECE // 2 - 1)]
    assert [len(p.split()) for p in pieces(" ".join(words))] == [PIECE, PIECE], "a short end is left out"
    assert [len(p.split()) for p in pieces(" ".join([*words, "x"]))] == [PIECE, PIECE, PIECE // 2]
    assert pieces("too short") == ["too short"]


def test_log_odds_follow_the_stars():
    model = fit([review("a wonderful warm film", 9), review("a dull boring film", 2)] * 20)
    good, bad, neither = model.decision_function(["warm and wonderful", "boring", "film"])
    assert good > 1 > abs(neither) > -1 > bad


def test_where_there_are_no_reviews_it_says_where_it_looked(tmp_path, monkeypatch):
    classifier.cache_clear()
    monkeypatch.setenv("HEED_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"no reviews at .*imdb.*set HEED_DATA"):
        gold(["p"], ["c"])
