"""The reward predictor: the formula by hand, all members at once as one by one, what is held out, what L2 does."""

import math

import numpy as np
import pytest
import torch
from corridor import segments
from torch.nn.functional import leaky_relu

from heed.algorithms.reward_model import RewardModel
from heed.control.policy import Normaliser
from heed.control.reward import RATIO, Answers, Clips, Ensemble, Pairs, Predictor
from heed.equations.preference import bradley_terry
from heed.experience import Ranked


def plain():
    """A normaliser that changes nothing."""
    return Normaliser(1)


def answers(n=300, seed=0, truth=lambda r: r.sum(1), time=4):
    """Pairs of segments whose only visible feature is their reward, judged by `truth` of it."""
    random = np.random.default_rng(seed)
    left, right = (segments(random.normal(size=(n, time)), seed=seed + i) for i in (1, 2))
    found = Answers()
    found.add(left, right, (truth(left.rewards) > truth(right.rewards)).astype(float).tolist())
    return found


def test_all_members_at_once_are_the_members_one_by_one():
    torch.manual_seed(0)
    ensemble, x = Ensemble(5, members=3, hidden=8), torch.randn(7, 5)
    for k in range(3):
        out = x
        for i, (w, b) in enumerate(zip(ensemble.weights, ensemble.biases, strict=True)):
            out = out @ w[k] + b[k]
            out = leaky_relu(out, 0.01) if i < 2 else out
        torch.testing.assert_close(ensemble(x)[k], out.squeeze(-1))


def test_a_segment_scores_the_undiscounted_sum_of_its_steps():
    torch.manual_seed(0)
    ensemble, inputs = Ensemble(3, members=2), torch.randn(2, 4, 6, 3)
    scores = ensemble.score(Clips(inputs)).view(2, 4)
    for k in range(2):
        for n in range(4):
            torch.testing.assert_close(scores[k, n], ensemble(inputs[k, n])[k].sum())


@pytest.mark.parametrize("preferred", [1.0, 0.0, 0.5])
def test_the_loss_is_equation_1_with_a_tenth_of_the_answers_random(preferred):
    """0.9 softmax + 0.05, one answer, by hand; through the reward_model.py that the language world uses."""
    class Fixed:
        def score(self, candidates):
            return torch.tensor([1.2, 0.7])

    ranks = torch.tensor([[1 if preferred >= 0.5 else 2, 1 if preferred <= 0.5 else 2]])
    loss = RewardModel(ties="half", noise=0.1).loss(Fixed(), Ranked(None, ranks))
    p = 0.9 / (1 + math.exp(-0.5)) + 0.05
    assert loss.total.item() == pytest.approx(-(preferred * math.log(p) + (1 - preferred) * math.log(1 - p)))
    assert loss.total.item() == pytest.approx(bradley_terry(torch.tensor(1.2), torch.tensor(0.7), preferred, noise=0.1).item())


def test_one_step_of_the_batched_ensemble_is_one_step_of_each_member():
    """The gradient of a member does not know of the others."""
    torch.manual_seed(0)
    inputs, preferred = torch.randn(3, 2 * 5, 4, 2), torch.rand(3 * 5).round()
    ranks = torch.stack([2 - preferred, 1 + preferred], 1).long()
    ensemble = Ensemble(2, members=3, hidden=4)
    RewardModel(noise=0.1).loss(ensemble, Pairs(Ranked(Clips(inputs), ranks)).judged).total.backward()
    for k in range(3):
        w, b = ([p[k].detach().requires_grad_() for p in group] for group in (ensemble.weights, ensemble.biases))
        x = inputs[k]
        for i in range(3):
            x = x @ w[i] + b[i]
            x = leaky_relu(x, 0.01) if i < 2 else x
        s = x.squeeze(-1).sum(1).view(5, 2)
        bradley_terry(s[:, 0], s[:, 1], preferred[5 * k : 5 * k + 5], noise=0.1).sum().backward()
        for i in range(3):
            torch.testing.assert_close(ensemble.weights[i].grad[k], w[i].grad, rtol=1e-4, atol=1e-5)


def test_a_share_of_one_over_e_is_held_out_and_what_was_drawn_stays_drawn():
    predictor = Predictor(1, 1, members=4)
    predictor._draw(500)
    before = predictor.draws.copy()
    predictor._draw(2000)
    np.testing.assert_array_equal(predictor.draws[:, :500], before)
    np.testing.assert_allclose((predictor.draws == 0).mean(1), math.exp(-1), atol=0.03)
    assert predictor.draws.mean() == pytest.approx(1, abs=0.03)
    assert (predictor.draws[0] != predictor.draws[1]).any()


def test_it_never_reads_what_it_holds_out():
    predictor = Predictor(1, 1, batch=16)
    predictor._draw(50)
    order = predictor._order(40, np.random.default_rng(0))
    for k in range(3):
        assert set(order[:, k].ravel()) == set(np.flatnonzero(predictor.draws[k]))


def test_it_learns_an_order_it_was_never_told():
    predictor, found = Predictor(1, 1, batch=32, lr=3e-3), answers()
    figures = predictor.fit(found, plain(), 300, np.random.default_rng(0))
    fresh = answers(seed=9)
    said = predictor.members(fresh.left.obs, fresh.left.actions, plain()).sum(2) - predictor.members(
        fresh.right.obs, fresh.right.actions, plain()).sum(2)
    assert ((said.mean(0) > 0) == (np.array(fresh.preferred) == 1)).mean() > 0.9
    assert figures["reward/held_out_accuracy"] > 0.9


def test_it_learns_what_segments_are_worth_where_it_is_told_in_numbers():
    """Regression on scores: up to the scale and shift that the agent's normalisation takes away, the true reward."""
    found = answers()
    found.preferred = np.stack([found.left.rewards.sum(1), found.right.rewards.sum(1)], 1).tolist()
    predictor = Predictor(1, 1, batch=32, lr=3e-3, scores=True)
    figures = predictor.fit(found, plain(), 300, np.random.default_rng(0))
    fresh = answers(seed=9).left
    said = predictor(fresh.obs, fresh.actions, plain()).sum(1)
    assert np.corrcoef(said, fresh.rewards.sum(1))[0, 1] > 0.98
    assert figures["reward/held_out_accuracy"] > 0.9 and figures["reward/valid_loss"] < 0.1


@pytest.mark.parametrize(("held_out_is_wrong", "direction"), [(True, 1), (False, -1)])
def test_the_penalty_follows_the_ratio_of_the_losses(held_out_is_wrong, direction):
    """Up where held-out answers are predicted worse than 1.5 times as badly, down where they are no worse."""
    predictor, found = Predictor(1, 1, members=1, batch=32, l2=1e-4), answers(400)
    predictor._draw(400)
    if held_out_is_wrong:
        found.preferred = [1 - p if d == 0 else p for p, d in zip(found.preferred, predictor.draws[0], strict=True)]
    figures = predictor.fit(found, plain(), 60, np.random.default_rng(0))
    assert (figures["reward/ratio"] > RATIO[1]) == held_out_is_wrong
    assert (predictor.l2[0] > 1e-4) == (direction > 0)


def test_the_penalty_pulls_weights_down():
    sizes = []
    for l2 in (0.0, 0.1):
        predictor = Predictor(1, 1, l2=l2, adapt_l2=False, lr=1e-2)
        predictor.fit(answers(100), plain(), 60, np.random.default_rng(0))
        sizes.append(predictor.ensemble.squares().sum().item())
    assert sizes[1] < 0.5 * sizes[0]


def test_the_agent_is_paid_the_mean_of_members_each_with_deviation_1():
    predictor = Predictor(1, 1)
    random = np.random.default_rng(0)
    obs, actions = random.normal(size=(3, 9, 1)).astype(np.float32), random.normal(size=(3, 9, 1)).astype(np.float32)
    each = predictor.members(obs, actions, plain()).astype(float)
    expected = np.mean([(m - m.mean()) / m.std() for m in each], 0)
    np.testing.assert_allclose(predictor(obs, actions, plain()), expected, rtol=1e-4, atol=1e-5)


def test_the_agent_is_paid_by_the_average_of_the_weights():
    """What a step moved counts 1 - ema of it; without an average the last weights pay."""
    one, last, found = Predictor(1, 1, ema=0.9), Predictor(1, 1), answers(100)
    before = {n: p.detach().clone() for n, p in one.ensemble.named_parameters()}
    for p in (one, last):
        p.fit(found, plain(), 1, np.random.default_rng(0))
    after = dict(one.ensemble.named_parameters())
    for name, weight in one.weights().items():
        torch.testing.assert_close(weight, 0.9 * before[name] + 0.1 * after[name])
        torch.testing.assert_close(last.weights()[name], after[name])
    obs, actions = found.left.obs, found.left.actions
    expected = torch.func.functional_call(one.ensemble, one.weights(), torch.from_numpy(np.concatenate([obs, actions], -1)
                                                                                       .reshape(-1, 2)))
    np.testing.assert_allclose(one.members(obs, actions, plain()).reshape(3, -1), expected.detach().numpy(), rtol=1e-5)


def test_goes_on_exactly():
    found, one = answers(100), Predictor(1, 1, ema=0.9)
    one.fit(found, plain(), 7, np.random.default_rng(0))
    other = Predictor(1, 1, ema=0.9)
    other.learner.restore({k: v.clone() for k, v in one.learner.state().items()})
    other.restore(one.state())
    for p in (one, other):
        p.fit(found, plain(), 5, np.random.default_rng(1))
    for a, b in zip([*one.ensemble.parameters(), *one.weights().values()],
                    [*other.ensemble.parameters(), *other.weights().values()], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert torch.equal(one.l2, other.l2)
