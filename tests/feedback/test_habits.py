"""Biases and pace: found where they were put, and not where there are none."""

import math
import random

import pytest

from heed.feedback.habits import length_bias, pace, position_bias
from heed.feedback.interval import figure
from heed.feedback.labelers.synthetic import SyntheticLabeler
from heed.records import Candidate, Comparison, Judgement, Prompt, Ranking
from heed.testing.store import answer, question


def crowd(n=600, k=2, **manners):
    """Rankings of a synthetic labeler who finds all answers equally good."""
    dice = random.Random(0)
    shown = [tuple(Candidate(f"w{j} " * dice.randint(1, 9), id=f"{i}.{j}") for j in range(k)) for i in range(n)]
    asked = [Comparison(Prompt(f"p{i}"), candidates, f"q{i}") for i, candidates in enumerate(shown)]
    labeler = SyntheticLabeler(lambda prompts, completions: [0.0] * len(completions), noise=1.0, **manners)
    labeler.ask(asked)
    return [Ranking(q, j) for q, j in zip(asked, labeler.answers(), strict=True)]


def test_position_by_hand():
    """Shown b, a, c and ranked b > c = a: of the pairs ba, bc (ac is a tie) the first shown won both; then it lost."""
    asked = question(1, 3)
    a, b, c = (x.id for x in asked.candidates)
    said = Judgement(asked.id, "ann", {b: 1, a: 2, c: 2})
    assert position_bias([Ranking(asked, said)]).value == 1.0
    turned = Judgement(asked.id, "bob", {a: 2, b: 1, c: 3})
    assert position_bias([Ranking(asked, said), Ranking(asked, turned)]).value == pytest.approx(4 / 5)


def test_length_by_hand():
    q = Comparison(Prompt("p"), (Candidate("one two", id="a"), Candidate("one", id="b"), Candidate("uno", id="c")), "q")
    assert length_bias([Ranking(q, Judgement("q", "ann", {"a": 1, "b": 2, "c": 3}))]).value == 1.0, "b and c are as long"
    assert length_bias([Ranking(q, Judgement("q", "ann", {"a": 2, "b": 1, "c": 3}))]).value == 0.5


def test_biases_are_found_where_they_are():
    fair = crowd()
    assert position_bias(fair).low < 0.5 < position_bias(fair).high
    assert length_bias(fair).low < 0.5 < length_bias(fair).high
    first = position_bias(crowd(biases={"position": 1.0}))
    assert first.low < 1 / (1 + math.exp(-1)) < first.high, "its log-odds are the bias"
    assert length_bias(crowd(biases={"words": 0.5})).low > 0.6
    assert position_bias(crowd(k=4, biases={"position": 1.0})).low > 0.6


def test_nothing_to_measure():
    tied = [Ranking(question(1), answer(question(1), ranks=(1, 1)))]
    for bias in (position_bias, length_bias):
        assert math.isnan(bias(tied).value) and bias([]).n == 0


def timed(labeler, seconds, n=5):
    return [Ranking(q, answer(q, labeler, seconds=seconds * (1 + 0.01 * i))) for i, q in enumerate(map(question, range(n)))]


def test_pace_finds_those_who_click_through():
    normal = [r for i in range(9) for r in timed(f"n{i}", 20 + i)]
    found = {p.labeler: p for p in pace([*normal, *timed("hasty", 0.5), *timed("asleep", 4000), *timed("machine", 0)])}
    assert found["hasty"].strange == "fast" and found["asleep"].strange == "slow"
    assert {p.strange for name, p in found.items() if name.startswith("n")} == {""}
    assert "machine" not in found, "who has no time has no pace"
    assert (found["n0"].answers, found["n0"].seconds) == (5, pytest.approx(20.4))
    assert next(iter(found)) == "hasty", "the fastest first"


def test_two_labelers_are_no_crowd():
    assert [math.isnan(p.z) and not p.strange for p in pace([*timed("a", 1), *timed("b", 900)])] == [True, True]


def test_all_but_one_alike():
    rankings = [r for who in "abc" for r in timed(who, 9)] + timed("d", 3)
    assert {p.labeler: p.strange for p in pace(rankings)} == {"a": "", "b": "", "c": "", "d": "fast"}


def share(total):
    return total[0] / sum(total)


def test_intervals_cover_the_truth():
    """100 experiments with 60 prompts of 1 to 8 alike answers: the 95 % interval should miss about 5 times."""
    dice, missed = random.Random(0), 0
    for _ in range(100):
        rows = []
        for i in range(60):
            yes = dice.random() < 0.7
            rows += [(f"{i}", (yes, not yes))] * dice.randint(1, 8)
        found = figure(rows, share)
        missed += not found.low <= 0.7 <= found.high
    assert 1 <= missed <= 12


def test_many_prompts_on_few_piles_keep_the_width():
    """The share of n coins: +-1.96 sqrt(p (1 - p) / n), however many coins share a pile."""
    dice = random.Random(1)
    rows = [(f"{i}", (x := dice.random() < 0.3, not x)) for i in range(5000)]
    found = figure(rows, share)
    assert found.n == 5000
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(0.21 / 5000), rel=0.2)


def test_one_prompt_has_no_interval():
    assert figure([("p", (1, 0)), ("p", (1, 1))], share).low is None
