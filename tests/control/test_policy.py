"""Policy: numpy acts as torch thinks; densities by hand; running statistics are those of all that was seen."""

import numpy as np
import pytest
import torch

from heed.control.batches import Steps, by_step
from heed.control.policy import Actor, ActorCritic, Normaliser, ReturnScale
from heed.experience import Experience


@pytest.mark.parametrize("discrete", [False, True])
def test_numpy_acts_as_torch_thinks(discrete):
    torch.manual_seed(0)
    policy = ActorCritic(5, 3, discrete=discrete)
    obs = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(Actor(policy).output(obs), policy.actor(torch.from_numpy(obs)).numpy(), atol=1e-6)


@pytest.mark.parametrize("discrete", [False, True])
def test_log_probability_and_entropy_are_those_of_the_distribution(discrete):
    torch.manual_seed(1)
    policy, obs = ActorCritic(4, 3, discrete=discrete, log_std=-0.3), torch.randn(6, 2, 4)
    out = policy.actor(obs)
    theirs = torch.distributions.Categorical(logits=out) if discrete else torch.distributions.Independent(
        torch.distributions.Normal(out, policy.log_std.exp()), 1)
    actions = theirs.sample()
    looked = policy(Steps(obs, actions), entropy=True)
    torch.testing.assert_close(looked.logprobs, theirs.log_prob(actions))
    torch.testing.assert_close(looked.entropy, theirs.entropy())
    assert looked.values.shape == (6, 2)


def test_actions_follow_the_probabilities():
    torch.manual_seed(0)
    policy = ActorCritic(1, 3, discrete=True)
    with torch.no_grad():
        policy.actor[-1].bias.copy_(torch.tensor([0.5, 0.2, 0.3]).log())
    taken = Actor(policy).act(np.zeros((40_000, 1), np.float32), np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(taken) / 40_000, [0.5, 0.2, 0.3], atol=0.01)
    assert (Actor(policy).act(np.zeros((5, 1), np.float32), None) == 0).all()


def test_a_normaliser_knows_all_it_has_seen():
    random = np.random.default_rng(0)
    parts = [random.normal(3, 5, (n, 2, 3)).astype(np.float32) for n in (1, 7, 40)]
    seen, normaliser = np.concatenate(parts).reshape(-1, 3), Normaliser(3)
    for part in parts:
        normaliser.update(part)
    np.testing.assert_allclose(normaliser(seen), (seen - seen.mean(0)) / seen.std(0), atol=1e-4)
    other = Normaliser(3)
    other.restore(normaliser.state())
    np.testing.assert_array_equal(other(seen), normaliser(seen))


def test_rewards_are_divided_by_the_spread_of_returns_within_episodes():
    rewards, ends = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[False, True, False]])
    spread = torch.tensor([1.0, 2.5, 4.0]).double().std()  # 1, then 0.5 * 1 + 2, then a new episode
    torch.testing.assert_close(ReturnScale(0.5)(rewards, ends), (rewards / spread).float())


def test_every_step_becomes_a_row():
    t = torch.arange(6.0).view(2, 3)
    e = Experience(Steps(t[..., None], t[..., None]), t, t, t, t, torch.ones(2, 3), torch.zeros(2), t, t)
    flat = by_step(e)
    assert len(flat) == 6 and flat.count == 6
    part = flat.select(torch.tensor([4]))
    assert part.advantages.item() == part.inputs.obs.item() == 4 and part.logprobs.shape == (1, 1)
