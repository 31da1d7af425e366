"""The second opinion on reviews: pieces by hand, and what it learns from a handful."""

import pytest

from heed.errors import UserError
from heed.language.rewards import sentiment
from heed.language.rewards.sentiment import PIECE, REVIEWS, cache_of, classifier, fit, gold, pieces
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
    good, bad, neither = model(["warm and wonderful", "boring", "film"])
    assert good > 1 > abs(neither) > -1 > bad


def test_where_there_are_no_reviews_it_says_where_it_looked(tmp_path, monkeypatch):
    classifier.cache_clear()
    monkeypatch.setenv("HEED_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"no reviews at .*imdb.*set HEED_DATA"):
        gold(["p"], ["c"])


def test_it_is_learnt_once_and_then_read_from_the_cache(tmp_path, monkeypatch):
    """Learning takes most of a minute, and a comparison of methods is many processes."""
    path, learnt = tmp_path / REVIEWS, []
    path.parent.mkdir()
    path.write_text("reviews")
    monkeypatch.setenv("HEED_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    reviews = [review("a wonderful warm film", 9), review("a dull boring film", 2)] * 20
    monkeypatch.setattr(sentiment, "load", lambda *_: learnt.append(1) or reviews)

    def again():
        classifier.cache_clear()  # another process
        return gold(["p"] * 2, ["warm and wonderful", "boring"])

    first = again()
    assert again() == first == fit(reviews)(["warm and wonderful", "boring"]).tolist(), "to the bit"
    assert len(learnt) == 1
    cache_of(path).write_text("damaged")
    assert again() == first and len(learnt) == 2, "learnt again"
    path.write_text("other reviews")
    assert again() == first and len(learnt) == 3, "another file, another classifier"
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    assert again() == first and len(learnt) == 4, "where nothing can be written it costs time, not the run"
    classifier.cache_clear()
