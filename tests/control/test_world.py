"""The whole world on a corridor whose best is known: what is preferred is learnt, and then done."""

import inspect

import numpy as np
import pytest
import torch
from corridor import Corridor

import heed.control.reward
import heed.workflows.control
from heed.algorithms.a2c import A2C
from heed.algorithms.ppo import PPO
from heed.algorithms.reinforce import REINFORCE
from heed.algorithms.reward_model import RewardModel
from heed.algorithms.trpo import TRPO
from heed.control.agents import OnPolicy
from heed.control.policy import ActorCritic
from heed.control.queries import choose
from heed.control.reward import Answers, Predictor
from heed.control.rollout import cut
from heed.control.segments import Query, Recent, stack
from heed.control.teachers import MANNERS, Synthetic
from heed.training.learner import Learner

ALGORITHMS = {
    "ppo": (PPO(gamma=0.95, vf_coef=0.5, num_mini_batches=4), 3e-3, 25), "trpo": (TRPO(gamma=0.95), 3e-3, 25),
    "a2c": (A2C(gamma=0.95, entropy_coef=0.0), 1e-2, 120), "reinforce": (REINFORCE(gamma=0.95), 1e-2, 120)}


def make_agent(world, algorithm, lr, n=16):
    torch.manual_seed(0)
    env = world(n, 0)
    policy = ActorCritic(1, env.action_size, discrete=env.discrete, hidden=(16, 16))
    return OnPolicy(env, policy, Learner(policy, lr=lr, micro_batch=10**6, max_grad_norm=0.5), algorithm, 40)


def teach(predictor, agent, rollout, pool, found, teacher, random, step, questions=8):
    pool.add(cut(rollout, agent.env, 5, f"{step}"))
    asked = [Query(f"{step}-{j}", pool.segments[a], pool.segments[b])
             for j, (a, b) in enumerate(choose(pool.segments, questions, random))]
    teacher.ask(asked)
    for (_, said), q in zip(teacher.answers(), asked, strict=True):
        if said is not None:
            found.add(stack([q.left]), stack([q.right]), [said])
    predictor.fit(found, agent.normaliser, 20, random)
    return predictor(rollout.obs, rollout.actions, agent.normaliser)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_algorithm_finds_the_best_where_it_is_paid_for_it(world, name):
    algorithm, lr, rounds = ALGORITHMS[name]
    agent, random = make_agent(world, algorithm, lr), np.random.default_rng(0)
    for i in range(rounds):
        rollout = agent.act(random)
        agent.learn(rollout, rollout.rewards, lr * (1 - i / rounds))
    assert agent.evaluate(world(4, 1)).mean() > 0.95 * Corridor.best


@pytest.mark.parametrize("manner", ["oracle", "mistake"])
def test_what_is_preferred_is_learnt_and_done(world, manner):
    """160 comparisons of five steps; the agent is never told the reward."""
    agent, random = make_agent(world, *ALGORITHMS["ppo"][:2]), np.random.default_rng(0)
    predictor, pool, found = Predictor(1, agent.env.action_size, batch=32), Recent(200), Answers()
    teacher = Synthetic(MANNERS[manner])
    before = agent.evaluate(world(4, 1)).mean()
    for step in range(20):
        rollout = agent.act(random)
        rewards = teach(predictor, agent, rollout, pool, found, teacher, random, step)
        agent.learn(rollout, rewards, 3e-3)
    assert len(found) <= 160 and before < 0.5 * Corridor.best
    assert agent.evaluate(world(4, 1)).mean() > 0.9 * Corridor.best


def test_goes_on_exactly(world):
    def play(agent, random, rounds):
        for _ in range(rounds):
            rollout = agent.act(random)
            torch.manual_seed(int(random.integers(2**31)))
            agent.learn(rollout, rollout.rewards, 3e-3)
        return rollout

    one, random = make_agent(world, *ALGORITHMS["ppo"][:2]), np.random.default_rng(0)
    play(one, random, 3)
    other, same = make_agent(world, *ALGORITHMS["ppo"][:2]), np.random.default_rng()
    other.learner.restore({k: v.clone() for k, v in one.learner.state().items()})
    other.restore({k: v.clone() for k, v in one.state().items()})
    same.bit_generator.state = random.bit_generator.state
    a, b = play(one, random, 3), play(other, same, 3)
    np.testing.assert_array_equal(a.obs, b.obs)
    for p, q in zip(one.policy.parameters(), other.policy.parameters(), strict=True):
        assert torch.equal(p, q)


def test_it_is_the_language_worlds_ppo_and_reward_model():
    """Not a second PPO, not a second preference loss: the names that control uses are those objects."""
    ours = heed.workflows.control.ControlPPO
    assert ours.loss is PPO.loss and ours.update is PPO.update and ours.credit is PPO.credit
    assert heed.control.reward.RewardModel is RewardModel
    assert isinstance(Predictor(1, 1).loss, RewardModel) and Predictor(1, 1).loss.noise == 0.1
    for module in (heed.control.reward, heed.control.agents):
        source = inspect.getsource(module)
        assert "logsigmoid" not in source and "clamp(1 -" not in source  # no formula of its own


def test_a_cut_off_episode_is_worth_what_would_have_followed():
    """The last step of a truncated episode is paid gamma V(what was seen last); one that ended is not."""
    agent = make_agent(Corridor, PPO(gamma=0.5, lam=0.0), 1e-3, n=1)
    assert agent.env.t[0] == 0
    agent.steps = 20
    with torch.no_grad():
        agent.policy.critic[-1].weight.zero_()
        agent.policy.critic[-1].bias.fill_(8.0)
    rollout = agent.act(np.random.default_rng(0))
    e = agent._experience(rollout, np.zeros((1, 20)))
    assert e.returns[-1].item() == pytest.approx(0.5 * 8) and e.dones[-1].item() == 1
    rollout.final.clear()
    assert agent._experience(rollout, np.zeros((1, 20))).returns[-1].item() == pytest.approx(0)
