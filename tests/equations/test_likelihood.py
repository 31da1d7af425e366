"""log(1 - p) and odds from log p: by hand, far out, and with a gradient everywhere."""

import math

import pytest
import torch

from heed.equations.likelihood import log_not, log_odds, mean_logprobs, sequence_logprobs


@pytest.mark.parametrize("p", [1e-30, 1e-8, 0.1, 0.5, 0.9, 0.999])
def test_of_a_probability(p):
    x = torch.tensor(math.log(p), dtype=torch.float64)
    assert log_not(x).item() == pytest.approx(math.log1p(-p), rel=1e-9)
    assert log_odds(x).item() == pytest.approx(math.log(p) - math.log1p(-p), rel=1e-9)


def test_gradients_are_finite_at_both_ends():
    """d log(1 - p) / d log p = -p / (1 - p); certainty is cut just short of the infinite."""
    x = torch.tensor([-1e30, -50.0, -math.log(2), -0.01, 0.0], requires_grad=True)
    log_odds(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    p = 0.5
    assert x.grad[2].item() == pytest.approx(1 + p / (1 - p), rel=1e-5)


def test_what_does_not_count_may_be_anything():
    logprobs, mask = torch.tensor([[-1.0, -2.0, float("nan")], [-3.0, 5.0, 5.0]]), torch.tensor([[1.0, 1, 0], [1, 0, 0]])
    assert sequence_logprobs(logprobs, mask).tolist() == [-3, -3]
    assert mean_logprobs(logprobs, mask).tolist() == [-1.5, -3]
