"""Rating models: cuts by hand, what a step learns, and what counts as right."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from heed.algorithms.rating_model import Ordinal, Regression
from heed.errors import UserError
from heed.experience import Rated

STARS = [1.0, 1.0, 1.0, 4.0, 8.0, 8.0, 10.0, 10.0]


def read(scores):
    """A model whose score of a candidate is the candidate."""
    return SimpleNamespace(score=lambda candidates: candidates), torch.tensor(scores)


def test_cuts_leave_a_score_of_nought_the_shares_of_training():
    found = Ordinal.of(STARS)
    assert found.levels == (1, 4, 8, 10)
    assert found.cuts == pytest.approx((math.log(3 / 5), 0.0, math.log(6 / 2)))
    model, scores = read([0.0] * 8)
    loss = found.loss(model, Rated(scores, found.targets(STARS)))
    shares = {1.0: 3 / 8, 4.0: 1 / 8, 8.0: 2 / 8, 10.0: 2 / 8}
    assert loss.total.item() == pytest.approx(-sum(math.log(shares[s]) for s in STARS), rel=1e-5)
    assert loss.count == 8


def test_two_levels_in_equal_shares_are_a_classifier():
    found = Ordinal.of([0.0, 1.0, 1.0, 0.0])
    model, scores = read([-2.0, 0.3, -1.0, 4.0])
    loss = found.loss(model, Rated(scores, found.targets([0.0, 1.0, 1.0, 0.0])))
    expected = F.binary_cross_entropy_with_logits(scores, torch.tensor([0.0, 1.0, 1.0, 0.0]), reduction="sum")
    assert loss.total.item() == pytest.approx(expected.item())
    right, of = loss.metrics["accuracy"]
    assert (right / of).item() == 0.5


def test_right_is_the_side_of_the_middle():
    """Between 4 and 8 stars the training ratings divide evenly, so that is the side that counts."""
    found = Ordinal.of(STARS)
    assert found.high_target(found.targets([1.0, 4.0, 8.0, 10.0])).tolist() == [False, False, True, True]
    assert found.high(torch.tensor([-0.1, 0.1])).tolist() == [False, True]


def test_a_rating_that_training_never_saw_is_the_nearest_level():
    assert Ordinal.of(STARS).targets([2.0, 3.0, 7.0, 9.9, 100.0]).tolist() == [0, 1, 2, 3, 3]


def test_regression_predicts_standard_deviations_from_the_mean():
    found = Regression.of([1.0, 3.0])
    assert found.targets([1.0, 2.0, 5.0]).tolist() == [-1, 0, 3]
    model, scores = read([0.0, 2.0])
    loss = found.loss(model, Rated(scores, found.targets([1.0, 3.0])))
    assert loss.total == 1 + 1
    right, of = loss.metrics["accuracy"]
    assert (right, of) == (2, 2), "a score of 0 is not above the mean, as 1 star is not"


@pytest.mark.parametrize("kind", [Ordinal, Regression])
def test_steps_put_scores_in_the_order_of_the_stars(kind):
    algorithm = kind.of(STARS)
    batch = Rated(torch.eye(8), algorithm.targets(STARS))
    scores = torch.nn.Parameter(torch.zeros(8))
    model = SimpleNamespace(score=lambda candidates: candidates @ scores)
    optimizer = torch.optim.Adam([scores], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        algorithm.loss(model, batch).total.backward()
        optimizer.step()
    assert (scores.detach()[:-1] - scores.detach()[1:] <= 1e-3).all()
    assert scores[0] < scores[3] < scores[4] < scores[6]


@pytest.mark.parametrize("kind", [Ordinal, Regression])
def test_one_rating_for_all_teaches_nothing(kind):
    with pytest.raises(UserError, match=r"every rating is 4\.0"):
        kind.of([4.0, 4.0])
