"""Orders out of several rankings: textbook elections, and what ranked pairs promises, on random ones."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heed.feedback.consensus import borda, margins, ranked_pairs

IDS = "abcdef"
# Some candidates each, in any weak order; nobody has to rank all of them.
ELECTIONS = st.lists(st.dictionaries(st.sampled_from(IDS), st.integers(1, 4), min_size=1), max_size=9)


def votes(**orders):
    """votes(abc=3): three rankings a > b > c."""
    return [{id: rank for rank, id in enumerate(order, start=1)} for order, n in orders.items() for _ in range(n)]


def winner_of_all(rankings):
    """The candidate who wins every duel, by definition."""
    ids = {id for ranks in rankings for id in ranks}
    duels = margins(rankings)
    return next((a for a in ids if all(duels[a, b] > 0 for b in ids - {a})), None)


def test_the_capital_of_tennessee():
    """42 % Memphis, 26 % Nashville, 15 % Chattanooga, 17 % Knoxville, each wanting the capital near."""
    rankings = votes(mnck=42, nckm=26, cknm=15, kcnm=17)
    assert "".join(ranked_pairs(rankings)) == "nckm"
    assert margins(rankings)["n", "m"] == 58 - 42


def test_a_circle_is_cut_at_its_weakest_duel():
    """a beats b by 5, b beats c by 3, c beats a by 1: the last gives way."""
    rankings = votes(abc=4, bca=2, cab=3)
    duels = margins(rankings)
    assert (duels["a", "b"], duels["b", "c"], duels["c", "a"]) == (5, 3, 1)
    assert ranked_pairs(rankings) == ["a", "b", "c"]


def test_ties_and_gaps():
    assert ranked_pairs([{"a": 1, "b": 1}, {"b": 1, "a": 2}]) == ["b", "a"], "a tie takes no side"
    assert ranked_pairs([{"a": 2, "b": 1}, {"b": 2, "c": 1}]) == ["c", "b", "a"], "nobody compared a and c"
    assert ranked_pairs([{"b": 1, "a": 1, "c": 1}]) == ["a", "b", "c"], "by their ids where nothing was said"
    assert ranked_pairs([]) == []
    assert ranked_pairs([{"a": 1}]) == ["a"]


def test_a_copy_of_a_candidate_changes_borda_only():
    """3 say a > b, 2 say b > a.  With a copy b2 just below b, b gains points by beating its copy."""
    rankings = votes(ab=3, ba=2)
    assert next(iter(borda(rankings))) == ranked_pairs(rankings)[0] == "a"
    copied = [{"a": 1, "b": 2, "b2": 3}] * 3 + [{"b": 1, "b2": 2, "a": 3}] * 2
    assert next(iter(borda(copied))) == "b"
    assert ranked_pairs(copied) == ["a", "b", "b2"]


def test_borda_by_hand():
    assert borda([{"a": 1, "b": 2, "c": 2}, {"c": 1, "a": 2}]) == pytest.approx({"c": 0.625, "a": 0.5, "b": 0.25})
    assert borda([{"a": 1}]) == {}


@settings(max_examples=200, deadline=None)
@given(ELECTIONS)
def test_ranked_pairs_keeps_its_promises(rankings):
    order = ranked_pairs(rankings)
    assert sorted(order) == sorted({id for ranks in rankings for id in ranks}), "everybody once"
    if winner := winner_of_all(rankings):
        assert order[0] == winner
    if loser := winner_of_all([{id: -rank for id, rank in ranks.items()} for ranks in rankings]):
        assert order[-1] == loser
    for a, b in pairwise(order):
        assert margins(rankings)[b, a] <= 0, "no neighbour would win the duel against the one above"


@settings(max_examples=100, deadline=None)
@given(ELECTIONS, st.randoms(use_true_random=False))
def test_the_order_of_votes_and_candidates_does_not_matter(rankings, dice):
    mixed = [dict(dice.sample(list(ranks.items()), len(ranks))) for ranks in rankings]
    dice.shuffle(mixed)
    assert ranked_pairs(mixed) == ranked_pairs(rankings)
    assert list(borda(mixed).items()) == list(borda(rankings).items())


def test_all_who_agree_are_followed():
    dice = random.Random(0)
    for _ in range(20):
        order = dice.sample(IDS, len(IDS))
        ranks = {id: rank for rank, id in enumerate(order)}
        assert ranked_pairs([ranks] * 3) == list(borda([ranks] * 3)) == order
