"""TRPO, A2C and REINFORCE: the formulas by hand, and a bandit whose best policy is known in closed form."""

import pytest
import torch
from bandit import Gambler, Pulls, apart, best, play

from heed.algorithms.a2c import A2C
from heed.algorithms.reinforce import REINFORCE
from heed.algorithms.trpo import TRPO, conjugate_gradient
from heed.experience import Experience
from heed.training.learner import Learner

torch.set_num_threads(1)


def rollout(time=3, last=0.0, ends=True):
    """One row of `time` steps: rewards 1, 2, 3; values 0.5, 1, 1.5."""
    rewards, values = torch.arange(1.0, time + 1)[None], torch.arange(1.0, time + 1)[None] / 2
    dones = torch.zeros(1, time)
    dones[0, -1] = float(ends)
    return Experience(Pulls.of([0]), torch.zeros(1, time), values, rewards, dones, torch.ones(1, time), torch.tensor([last]))


@pytest.mark.parametrize("algorithm", [
    TRPO(target_kl=0.002, gamma=1.0), A2C(entropy_coef=0.0), REINFORCE(), REINFORCE(baseline="mean"),
], ids=["trpo", "a2c", "reinforce-value", "reinforce-mean"])
def test_reaches_the_best_policy_where_a_nat_costs_beta(algorithm):
    steps = 100 if isinstance(algorithm, TRPO) else 200
    assert apart(play(algorithm, steps=steps), best()) < 0.03


def test_reinforce_weighs_each_action_by_what_followed_it():
    e = REINFORCE(baseline="none", gamma=0.5, normalise=False).credit(rollout())
    assert e.returns.tolist() == [[1 + 0.5 * 2 + 0.25 * 3, 2 + 0.5 * 3, 3.0]] and torch.equal(e.advantages, e.returns)
    mean = REINFORCE(baseline="mean", gamma=0.5, normalise=False).credit(rollout())
    assert mean.advantages.sum().item() == pytest.approx(0, abs=1e-6)
    value = REINFORCE(gamma=0.5, normalise=False).credit(rollout())
    assert torch.equal(value.advantages, value.returns - value.values)


def test_reinforce_has_variance_1_and_keeps_the_sign():
    e = REINFORCE(baseline="none", gamma=1.0).credit(rollout())
    assert e.advantages.var(unbiased=False).item() == pytest.approx(1, rel=1e-4) and (e.advantages > 0).all()


def test_a2c_looks_n_steps_ahead_and_then_asks_its_critic():
    e = A2C(gamma=0.5).credit(rollout(last=8.0, ends=False))
    assert e.returns.tolist() == [[1 + 1 + 0.75 + 8 / 8, 2 + 1.5 + 8 / 4, 3 + 8 / 2]]
    torch.testing.assert_close(e.advantages, e.returns - e.values)


@pytest.mark.parametrize("algorithm", [A2C(entropy_coef=0.3, vf_coef=0.7), REINFORCE(entropy_coef=0.3, vf_coef=0.7)],
                         ids=["a2c", "reinforce"])
def test_the_loss_by_hand(algorithm):
    gambler, one = Gambler(), torch.ones(2, 1)
    e = Experience(Pulls.of([0, 3]), one, one, one, one, one, torch.zeros(2), advantages=torch.tensor([[2.0], [-1.0]]),
                   returns=torch.tensor([[1.0], [3.0]]))
    p = gambler.policy()
    actor = -(2 * p[0].log() - p[3].log())
    square = (1.0 if isinstance(algorithm, A2C) else 0.5) * (1 + 9)
    entropy = -(p * p.log()).sum()
    loss = algorithm.loss(gambler, e)
    assert loss.total.item() == pytest.approx((actor + 0.7 * square - 0.3 * 2 * entropy).item(), rel=1e-5) and loss.count == 2


def test_conjugate_gradients_solve_a_system_they_cannot_see():
    torch.manual_seed(0)
    half = torch.randn(6, 6, dtype=torch.float64)
    a, b = half @ half.T + torch.eye(6), torch.randn(6, dtype=torch.float64)
    torch.testing.assert_close(conjugate_gradient(lambda v: a @ v, b, 10), torch.linalg.solve(a, b), rtol=1e-6, atol=1e-6)


def test_trpo_goes_as_far_as_the_bound_allows_and_no_further():
    """Of four arms only one pays: the surrogate rises, and the KL of the step lies between half the bound and the bound."""
    torch.manual_seed(0)
    gambler = Gambler()
    old = gambler.policy()
    arms = torch.multinomial(old, 4000, replacement=True)
    pulls, one = Pulls.of(arms), torch.ones(4000, 1)
    e = Experience(pulls, gambler(pulls).logprobs.detach(), 0 * one, (arms == 3).float()[:, None], one, one, torch.zeros(4000))
    trpo = TRPO(target_kl=0.01, cg_damping=1e-3)
    figures = trpo.update(Learner(gambler, lr=0.0, micro_batch=4000), trpo.credit(e), lr=0.0)
    new = gambler.policy()
    kl = (old * (old / new).log()).sum().item()
    assert figures["policy/surrogate_gain"] > 0 and new[3] > old[3] and 0.005 < kl < 0.0115


def test_trpo_stays_where_no_step_helps():
    """Every arm pays the same: advantages are 0 and nothing moves."""
    gambler = Gambler()
    old, pulls, one = gambler.policy(), Pulls.of([0, 1, 2, 3]), torch.ones(4, 1)
    e = Experience(pulls, gambler(pulls).logprobs.detach(), 0 * one, one, one, one, torch.zeros(4))
    trpo = TRPO()
    figures = trpo.update(Learner(gambler, lr=0.0, micro_batch=8), trpo.credit(e), lr=0.0)
    assert torch.equal(gambler.policy(), old) and figures["policy/approxkl_avg"] == 0
