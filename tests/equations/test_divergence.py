"""Estimators of the KL against the KL itself, and the controllers against their formula."""

import json
import math

import pytest
import torch
from torch.autograd import gradcheck

from heed.equations import divergence
from heed.equations.divergence import (
    AdaptiveKL,
    FixedKL,
    forward_kl,
    jensen_shannon,
    k1,
    k2,
    k3,
    reverse_kl,
    total_variation,
)
from heed.errors import RunError, UserError


def two_policies(dtype=torch.float32, rows=5, vocabulary=7, apart=0.5):
    g = torch.Generator().manual_seed(0)
    ref = torch.randn(rows, vocabulary, generator=g, dtype=dtype)
    return ref + apart * torch.randn(rows, vocabulary, generator=g, dtype=dtype), ref


def test_by_hand_on_a_coin():
    p, q = torch.tensor([0.75, 0.25]), torch.tensor([0.5, 0.5])
    reverse = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    forward = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    js = (0.75 * math.log(0.75 / 0.625) + 0.25 * math.log(0.25 / 0.375)) / 2  # the mixture is (0.625, 0.375)
    js += (0.5 * math.log(0.5 / 0.625) + 0.5 * math.log(0.5 / 0.375)) / 2
    assert reverse_kl(p.log(), q.log()).item() == pytest.approx(reverse, abs=1e-6)
    assert forward_kl(p.log(), q.log()).item() == pytest.approx(forward, abs=1e-6)
    assert jensen_shannon(p.log(), q.log()).item() == pytest.approx(js, abs=1e-6)
    assert total_variation(p.log(), q.log()).item() == pytest.approx(0.25)
    samples = (p.log(), q.log())
    assert k1(*samples).tolist() == pytest.approx([math.log(1.5), math.log(0.5)])
    assert k2(*samples).tolist() == pytest.approx([math.log(1.5) ** 2 / 2, math.log(0.5) ** 2 / 2])
    assert k3(*samples).tolist() == pytest.approx([1 / 1.5 - 1 + math.log(1.5), 1 / 0.5 - 1 + math.log(0.5)], abs=1e-6)


@pytest.mark.parametrize("estimator", [k1, k3])
def test_k1_and_k3_are_unbiased(estimator):
    """The expectation is taken exactly, over the whole vocabulary, so no sampling noise hides a bias."""
    logits, ref = two_policies(torch.float64)
    log_p, log_q = logits.log_softmax(-1), ref.log_softmax(-1)
    assert torch.allclose((log_p.exp() * estimator(log_p, log_q)).sum(-1), reverse_kl(logits, ref))


def test_k2_has_the_gradient_of_the_kl():
    logits, ref = two_policies(torch.float64)
    logits.requires_grad_()
    (exact,) = torch.autograd.grad(reverse_kl(logits, ref).sum(), logits)
    log_p = logits.log_softmax(-1)
    (of_k2,) = torch.autograd.grad((log_p.exp().detach() * k2(log_p, ref.log_softmax(-1))).sum(), logits)
    assert torch.allclose(exact, of_k2)


def test_k1_is_negative_where_the_policy_left_and_k3_never():
    """alpaca_farm clamps k1 at 0, which makes the penalty biased."""
    logprobs, ref = torch.tensor([-3.0, -1.0]), torch.tensor([-1.0, -3.0])
    assert k1(logprobs, ref).tolist() == [-2, 2] and (k3(logprobs, ref) > 0).all()


def test_the_same_policy_is_at_no_distance():
    logits, _ = two_policies()
    for distance in (reverse_kl, forward_kl, jensen_shannon, total_variation, k1, k2, k3):
        assert distance(logits, logits).abs().max() < 1e-6


def test_bounds_and_symmetry():
    logits, ref = two_policies(apart=20.0)
    js, tv, kl = jensen_shannon(logits, ref), total_variation(logits, ref), reverse_kl(logits, ref)
    assert (js <= math.log(2) + 1e-6).all() and (tv <= 1 + 1e-6).all() and (kl >= 0).all()
    assert (tv <= (kl / 2).sqrt() + 1e-6).all()
    assert torch.allclose(js, jensen_shannon(ref, logits)) and torch.allclose(tv, total_variation(ref, logits))


def test_close_to_the_reference_k3_does_not_cancel():
    """Written as exp(x) - 1 - x in float32, a log ratio of 1e-3 is off by several per cent."""
    found = k3(torch.tensor([0.0]), torch.tensor([1e-3])).item()
    assert found == pytest.approx(math.expm1(1e-3) - 1e-3, rel=1e-3)


@pytest.mark.parametrize("distance", [k1, k2, k3])
def test_extreme_log_probabilities_are_finite(distance):
    logprobs = torch.tensor([-1e4, 0.0, -90.0], requires_grad=True)
    found = distance(logprobs, torch.tensor([0.0, -1e4, 0.0]))
    found.sum().backward()
    assert found.isfinite().all() and logprobs.grad.isfinite().all()


@pytest.mark.parametrize("distance", [reverse_kl, forward_kl, jensen_shannon, total_variation])
def test_extreme_logits_and_tokens_ruled_out_for_both_are_finite(distance):
    logits = torch.tensor([[1e4, 0.0, -1e4, -torch.inf], [0.0, 1e30, 0.0, -torch.inf]], requires_grad=True)
    ref = torch.tensor([[-1e4, 0.0, 1e4, -torch.inf], [0.0, 1e30, 1.0, -torch.inf]])
    found = distance(logits, ref)
    found.sum().backward()
    assert found.isfinite().all() and logits.grad.isfinite().all()


@pytest.mark.parametrize("distance", [reverse_kl, forward_kl, jensen_shannon])
def test_gradients_of_the_exact_distances(distance):
    logits, ref = two_policies(torch.float64)
    assert gradcheck(distance, (logits.requires_grad_(), ref.requires_grad_()))


@pytest.mark.parametrize("distance", [k1, k2, k3])
def test_gradients_of_the_estimators(distance):
    logprobs, ref = two_policies(torch.float64)
    assert gradcheck(distance, (logprobs.requires_grad_(), ref.requires_grad_()))


def test_half_precision_is_widened_before_the_softmax():
    logits, ref = (x.bfloat16() for x in two_policies())
    for name in ("reverse_kl", "forward_kl", "jensen_shannon", "total_variation", "k1", "k2", "k3"):
        distance = getattr(divergence, name)
        assert distance(logits, ref).dtype == torch.float32
        assert torch.equal(distance(logits, ref), distance(logits.float(), ref.float()))


# --- controllers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kl", "factor"),
    [(6.0, 1.0), (6.6, 1 + 0.1 * 512 / 10_000), (60.0, 1 + 0.2 * 512 / 10_000), (0.0, 1 - 0.2 * 512 / 10_000)],
)
def test_adaptive_kl_by_hand(kl, factor):
    controller = AdaptiveKL(0.2)
    controller.update(kl, 512)
    assert controller.coef == pytest.approx(0.2 * factor)


def test_adaptive_kl_finds_the_price_of_its_target():
    """A toy policy whose KL falls with the price, KL = 1.2 / coef: the target of 6 costs 0.2."""
    controller = AdaptiveKL(1.0, target=6.0, horizon=1000)
    for _ in range(300):
        controller.update(1.2 / controller.coef, 100)
    assert controller.coef == pytest.approx(0.2, rel=1e-3)


def test_fixed_kl_stays():
    controller = FixedKL(0.05)
    controller.update(1e9, 512)
    assert controller.coef == 0.05


@pytest.mark.parametrize("make", [lambda: FixedKL(0.3), lambda: AdaptiveKL(0.3, target=2.0, horizon=500)])
def test_a_controller_goes_on_where_it_was_saved(make):
    straight, stopped = make(), make()
    for kl in (1.0, 3.0, 9.0):
        straight.update(kl, 64)
        stopped.update(kl, 64)
    resumed = make()
    resumed.coef = -1.0
    resumed.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
    for kl in (0.5, 4.0):
        straight.update(kl, 64)
        resumed.update(kl, 64)
    assert resumed.coef == straight.coef


def test_a_kl_that_is_not_a_number_stops_the_run_and_not_the_price():
    controller = AdaptiveKL(0.2)
    for kl in (math.nan, math.inf):
        with pytest.raises(RunError, match="the KL to the reference policy"):
            controller.update(kl, 512)
    assert controller.coef == 0.2


def test_a_horizon_that_could_turn_the_penalty_negative_is_refused():
    with pytest.raises(UserError, match="horizon 100"):
        AdaptiveKL(0.2, horizon=100).update(1.0, 512)
