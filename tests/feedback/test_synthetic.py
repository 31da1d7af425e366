"""A synthetic labeler follows the model that it claims to follow: probabilities by formula, deterministic draws."""

import math
from itertools import permutations

import pytest

from heed.errors import UserError
from heed.feedback.labelers.synthetic import SyntheticLabeler, score_candidates
from heed.records import Candidate, Comparison, Message, Prompt

N = 4000


def asked(*texts, n=N):
    return [Comparison(Prompt("p"), tuple(Candidate(t, id=f"{k}") for k, t in enumerate(texts)), f"q{i}", 0.0)
            for i in range(n)]  # fmt: skip


def value(prompts, completions):
    """The number that a text begins with."""
    return [float(text.split()[0]) for text in completions]


def said(questions, **manners):
    """Ranks in the order of the candidates, one tuple an answer."""
    labeler = SyntheticLabeler(value, **manners)
    labeler.ask(questions)
    return [tuple(j.ranks[c.id] for c in q.candidates) if j.ranks else j.outcome
            for q, j in zip(questions, labeler.answers(), strict=True)]  # fmt: skip


def share(answers, wanted):
    return sum(a == wanted for a in answers) / len(answers)


def close(expected, sigmas=4.0):
    return pytest.approx(expected, abs=sigmas * math.sqrt(expected * (1 - expected) / N))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_without_noise_it_ranks_by_score_and_ties_what_is_equal():
    assert said(asked("1", "3", "2", "3 again", n=1)) == [(3, 1, 2, 1)]


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_pairs_follow_bradley_terry(noise):
    assert share(said(asked("1", "0"), noise=noise), (1, 2)) == close(sigmoid(1 / noise))


def test_rankings_follow_plackett_luce():
    """P(order) = product of exp(s_i) / (sum of exp(s) over those not yet placed)."""
    answers = said(asked("1", "0.5", "-0.3"), noise=1.0)
    weights = [math.exp(s) for s in (1, 0.5, -0.3)]
    for order in permutations(range(3)):
        p = weights[order[0]] / sum(weights) * weights[order[1]] / (weights[order[1]] + weights[order[2]])
        assert share(answers, tuple(order.index(i) + 1 for i in range(3))) == close(p)


def test_ties_of_two_follow_rao_kupper():
    """P(i first) = w_i / (w_i + theta w_j) with w = exp(s) and theta = exp(threshold); the rest are ties."""
    answers = said(asked("1", "0"), noise=1.0, tie_threshold=0.7)
    first, second, theta = math.exp(1), 1.0, math.exp(0.7)
    won, lost = first / (first + theta * second), second / (second + theta * first)
    assert share(answers, (1, 2)) == close(won)
    assert share(answers, (2, 1)) == close(lost)
    assert share(answers, (1, 1)) == close(1 - won - lost)


def test_a_chain_of_close_neighbours_is_one_tie():
    questions = asked("5", "0", "4.2", "3.5", "1", n=1)
    assert said(questions, tie_threshold=1.0) == [(1, 2, 1, 1, 2)]
    assert said(questions, tie_threshold=0.9) == [(1, 3, 1, 1, 2)]


def test_mistakes_flip_pairs_and_swap_two_of_many():
    assert share(said(asked("1", "0"), mistakes=0.1), (2, 1)) == close(0.1)
    swapped = said(asked("2", "1", "0"), mistakes=1.0)
    for wrong in ((2, 1, 3), (3, 2, 1), (1, 3, 2)):
        assert share(swapped, wrong) == close(1 / 3)
    assert set(said(asked("1", "1.0"), mistakes=1.0)) == {(1, 1)}, "two that are tied cannot change places"


def test_skips():
    assert share(said(asked("1", "0"), skip=0.2), "skipped") == close(0.2)


@pytest.mark.parametrize(("bias", "texts"), [("words", ("1 and more", "1")), ("characters", ("1 1", "1"))])
def test_length_biases_move_the_log_odds(bias, texts):
    answers = said(asked(*texts), noise=1.0, biases={bias: 0.4})
    assert share(answers, (1, 2)) == close(sigmoid(0.4 * 2))


def test_position_bias_is_about_what_was_shown_first():
    questions = asked("1", "1.0")
    labeler = SyntheticLabeler(value, noise=1.0, biases={"position": 1.5})
    labeler.ask(questions)
    answers = labeler.answers()
    shown_first = [next(iter(j.ranks)) for j in answers]
    assert share(shown_first, "0") == close(0.5), "shown in a random order"
    assert share([j.ranks[id] for j, id in zip(answers, shown_first, strict=True)], 1) == close(sigmoid(1.5))


def test_equal_texts_are_always_tied():
    assert {(a[0], a[2]) for a in said(asked("1", "0", "1"), noise=3.0, biases={"position": 1.0})} == {(1, 1), (2, 2)}


def test_labelers_differ_by_name_and_seed_and_agree_with_themselves():
    questions = asked("1", "0", n=200)
    first = said(questions, noise=1.0)
    assert first == said(questions, noise=1.0)
    assert first != said(questions, noise=1.0, seed=1)
    assert first != said(questions, noise=1.0, name="another")


def test_an_answer_under_other_settings_has_another_id():
    question = asked("1", "0", n=1)[0]
    ids = {SyntheticLabeler(value, **m).judge(question, [1.0, 0.0]).id
           for m in ({}, {"noise": 1}, {"seed": 1}, {"biases": {"words": 1}}, {"name": "x"}, {"noise": 1.0})}  # fmt: skip
    assert len(ids) == 5


def test_scores_are_asked_for_at_once_and_in_trl_s_shape():
    calls = []

    def score(prompts, completions, **columns):
        calls.append((prompts, completions, columns))
        return [1, None, 0, 2]

    chat = Prompt((Message("user", "hi"),), {"topic": "a", "prompts": "never passed on"})
    plain = Prompt("hello", {"reference": "b"})
    questions = [Comparison(p, (Candidate(f"{p.id} x"), Candidate(f"{p.id} y"))) for p in (chat, plain)]
    assert score_candidates(score, questions) == [[1.0, None], [0.0, 2.0]]
    turns = [{"role": "user", "content": "hi"}]
    texts = [c.text for q in questions for c in q.candidates]
    columns = {"topic": ["a", "a", None, None], "reference": [None, None, "b", "b"]}
    assert calls == [([turns, turns, "hello", "hello"], texts, columns)]
    labeler = SyntheticLabeler(score)
    labeler.ask(questions)
    assert [j.outcome for j in labeler.answers()] == ["not_rankable", "answered"]


@pytest.mark.parametrize("bad", [[1.0], [1.0, float("nan")], [1.0, "x"], 3.0, [1.0, float("inf")]])
def test_bad_scores_are_named(bad):
    def odd(prompts, completions):
        return bad

    with pytest.raises(UserError, match="'odd'"):
        SyntheticLabeler(odd).ask(asked("1", "0", n=1))


@pytest.mark.parametrize("wrong", [{"noise": -1}, {"mistakes": 1.1}, {"skip": -0.1}, {"tie_threshold": math.nan}])
def test_bad_settings_are_named(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        SyntheticLabeler(value, **wrong)


def test_an_unknown_bias_is_named():
    with pytest.raises(UserError, match="did you mean 'words'"):
        SyntheticLabeler(value, biases={"word": 1})
