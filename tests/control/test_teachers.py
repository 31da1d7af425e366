"""Synthetic teachers: each errs at the rate it says, and always the same way for the same question."""

import numpy as np
import pytest
from corridor import segments

from heed.control.segments import Query
from heed.control.teachers import MANNERS, Manner, Synthetic


def queries(left, right):
    """Questions about segments of these rewards."""
    a, b = segments(left), segments(right)
    return [Query(f"q{i}", a[i], b[i]) for i in range(len(a))]


def told(teacher, asked):
    teacher.ask(asked)
    return [p for _, p in teacher.answers()]


def test_an_oracle_is_right_and_says_when_it_cannot_tell_them_apart():
    asked = queries([[1, 1], [0, 1], [2, 0]], [[0, 0], [3, 0], [1, 1]])
    assert told(Synthetic(), asked) == [1.0, 0.0, 0.5]


def test_a_boltzmann_teacher_is_right_as_often_as_the_sigmoid_says():
    n = 1500
    asked = queries(np.full((n, 1), 1.0), np.zeros((n, 1)))
    assert np.mean(told(Synthetic(Manner(beta=1.5)), asked)) == pytest.approx(1 / (1 + np.exp(-1.5)), abs=0.03)


def test_a_mistaken_teacher_errs_in_a_tenth():
    n = 1500
    asked = queries(np.ones((n, 1)), np.zeros((n, 1)))
    assert np.mean(told(Synthetic(MANNERS["mistake"]), asked)) == pytest.approx(0.9, abs=0.025)


def test_a_myopic_teacher_forgets_the_beginning():
    """The left one pays 1 at once, the right one 0.5 at the end: 0.9^9 = 0.39 of 1 is less."""
    left, right = np.zeros((1, 10)), np.zeros((1, 10))
    left[0, 0], right[0, -1] = 1.0, 0.5
    assert told(Synthetic(), queries(left, right)) == [1.0]
    assert told(Synthetic(MANNERS["myopic"]), queries(left, right)) == [0.0]


def test_skip_and_equal_apply_their_threshold_once_and_keep_doing_so():
    """Returns of mean size 10, thresholds a tenth of it: the same answers in the first session and in the tenth."""
    left, right = [[20.0], [10.5], [0.5], [9.0]], [[9.0], [10.0], [0.2], [20.8]]
    skip, equal = Synthetic(MANNERS["skip"]), Synthetic(MANNERS["equal"])
    for _ in range(10):
        assert told(skip, queries(left, right)) == [1.0, 1.0, None, 0.0]
        assert told(equal, queries(left, right)) == [1.0, 0.5, 0.5, 0.0]


def test_an_answer_depends_on_the_seed_and_the_question_alone():
    asked = queries(np.ones((200, 1)), np.zeros((200, 1)))
    teacher = Synthetic(MANNERS["mistake"], seed=3)
    whole = dict(zip([q.id for q in asked], told(teacher, asked), strict=True))
    again = Synthetic(MANNERS["mistake"], seed=3)
    assert {q.id: told(again, [q])[0] for q in reversed(asked)} == whole
    assert told(Synthetic(MANNERS["mistake"], seed=4), asked) != list(whole.values())


def test_a_judge_of_ones_own_takes_the_place_of_the_true_reward():
    asked = queries([[1.0, 0.0]], [[0.0, 2.0]])
    assert told(Synthetic(judge=lambda s: s.rewards[0]), asked) == [1.0]


def test_scores_in_place_of_a_comparison():
    assert told(Synthetic(scores=True), queries([[1.0, 0.5]], [[0.0, 2.0]])) == [[1.5, 2.0]]


def test_answers_are_told_once():
    teacher = Synthetic()
    teacher.ask(queries([[1.0]], [[0.0]]))
    assert teacher.answers() == [("q0", 1.0)] and teacher.answers() == []
