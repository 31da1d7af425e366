"""Absolute scores: regression and proportional odds."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from heed.equations.rating import cutpoints, ordinal, regression


def test_regression_by_hand():
    assert regression(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 3.0])).tolist() == [1, 0]


def test_ordinal_by_hand():
    cuts, score = torch.tensor([-1.0, 0.5, 2.0]), 0.3
    below = [1 / (1 + math.exp(-(c - score))) for c in cuts.tolist()]
    p = [below[0], below[1] - below[0], below[2] - below[1], 1 - below[2]]
    found = ordinal(torch.full((4,), score), torch.arange(4), cuts)
    assert found.tolist() == pytest.approx([-math.log(x) for x in p], rel=1e-5)


def test_levels_are_a_distribution():
    scores = torch.linspace(-5, 5, 11)
    cuts = cutpoints(torch.tensor([-2.0, 0.3, -1.0, 2.0]))
    total = sum((-ordinal(scores, torch.full((11,), level), cuts)).exp() for level in range(5))
    assert torch.allclose(total, torch.ones(11), atol=1e-5)


def test_two_levels_are_logistic_regression():
    scores = torch.tensor([1.7, 1.7])
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores, torch.tensor([0.0, 1.0]), reduction="none")
    assert torch.allclose(ordinal(scores, torch.tensor([0, 1]), torch.zeros(1)), expected)


@pytest.mark.parametrize("level", range(4))
def test_far_from_the_cuts_it_is_finite_and_still_pulls(level):
    """sigmoid(u) - sigmoid(l) taken as it stands is 0 in float32 from about 17 on, and its logarithm infinite."""
    for score in (-1e4, -50.0, 50.0, 1e4):
        s = torch.tensor([score], requires_grad=True)
        loss = ordinal(s, torch.tensor([level]), torch.tensor([-1.0, 0.0, 1.0]))
        loss.sum().backward()
        assert loss.isfinite().all() and s.grad.isfinite().all()
        too_far = (score < 0 and level > 0) or (score > 0 and level < 3)
        assert not too_far or s.grad.item() * score > 0.1


def test_a_narrow_level_is_unlikely_but_not_impossible():
    """The probability of a narrow level is its width times the density: here a quarter of it, at any distance apart."""
    for width, expected in ((1e-3, 1e-3 / 4), (1e-5, 1e-5 / 4), (0.0, 1e-6 / 4)):
        cuts = torch.tensor([0.0, width], requires_grad=True)
        loss = ordinal(torch.zeros(1), torch.tensor([1]), cuts)
        loss.sum().backward()
        assert loss.item() == pytest.approx(-math.log(expected), abs=1e-3) and cuts.grad.isfinite().all()


def test_cutpoints_ascend():
    cuts = cutpoints(torch.tensor([3.0, -20.0, 0.0, 5.0]))
    assert cuts[0] == 3 and (cuts.diff() >= 0).all() and cuts.diff()[1].item() == pytest.approx(math.log(2))


def test_gradients_of_ordinal():
    g = torch.Generator().manual_seed(0)
    scores = torch.randn(4, dtype=torch.float64, generator=g, requires_grad=True)
    raw = torch.randn(3, dtype=torch.float64, generator=g, requires_grad=True)
    assert gradcheck(lambda s, r: ordinal(s, torch.arange(4), cutpoints(r)), (scores, raw))
