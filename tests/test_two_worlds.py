"""One reward_model.py and one ppo.py, learning to please in both worlds, each with a known best."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.distributions import Categorical

from heed.algorithms.ppo import PPO
from heed.algorithms.reward_model import RewardModel
from heed.experience import Experience, Ranked
from heed.training.learner import Learner, Part

torch.set_num_threads(1)


class Trace:
    """What was seen and done, [batch, time, ...]: what a policy needs to look again, and what people compare."""

    def __init__(self, features, actions):
        self.features, self.actions = features, actions

    def select(self, index):
        return Trace(self.features[index], self.actions[index])


class ActorCritic(nn.Module):
    """Action probabilities and values from features."""

    def __init__(self, d, actions):
        super().__init__()
        self.pi = nn.Sequential(nn.Linear(d, 32), nn.Tanh(), nn.Linear(32, actions))
        self.v = nn.Sequential(nn.Linear(d, 32), nn.Tanh(), nn.Linear(32, 1))

    def choose(self, features):
        return Categorical(logits=self.pi(features))

    def forward(self, trace, entropy=False):
        chosen = self.choose(trace.features)
        return SimpleNamespace(logprobs=chosen.log_prob(trace.actions), values=self.v(trace.features).squeeze(-1),
                               entropy=chosen.entropy() if entropy else None)


class RewardNet(nn.Module):
    """A reward for every step; a trace's score is their sum (Christiano et al. 2017)."""

    def __init__(self, world):
        super().__init__()
        self.f, self.k = nn.Sequential(nn.Linear(world.d + world.actions, 32), nn.ReLU(), nn.Linear(32, 1)), world.actions

    def forward(self, trace):
        return self.f(torch.cat([trace.features, nn.functional.one_hot(trace.actions, self.k).float()], -1)).squeeze(-1)

    def score(self, trace):
        return self(trace).sum(1)


class Corridor:
    """Control: walk along 9 cells for 12 steps; only the right end pays.  The best return from the middle is 8."""

    name, d, actions, time = "control", 9, 2, 12

    def begin(self, n):
        return torch.full((n,), 4)

    def move(self, state, action):
        return (state + 2 * action - 1).clamp(0, 8)

    def reward(self, trace):
        return (trace.features.argmax(-1) == 8).float()


class Words:
    """Language: of six tokens, 3 after 1 and 1 after 3 please; ten tokens, so the best is 9."""

    name, d, actions, time = "language", 6, 6, 10

    def begin(self, n):
        return torch.zeros(n, dtype=torch.long)

    def move(self, state, action):
        return action

    def reward(self, trace):
        before, now = trace.features.argmax(-1), trace.actions
        return (((before == 1) & (now == 3)) | ((before == 3) & (now == 1))).float()


@torch.no_grad()
def act(world, policy, n):
    state, seen, done = world.begin(n), [], []
    for _ in range(world.time):
        features = nn.functional.one_hot(state, world.d).float()
        action = policy.choose(features).sample()
        seen.append(features)
        done.append(action)
        state = world.move(state, action)
    return Trace(torch.stack(seen, 1), torch.stack(done, 1))


def ranks_of(scores):
    """[groups, K] true returns as a person would rank them: 1 is best, equal returns are a tie."""
    return (scores[:, :, None] < scores[:, None, :]).sum(2) + 1


@pytest.mark.parametrize("action", ["token", "sequence"])
@pytest.mark.parametrize("world", [Corridor(), Words()], ids=lambda w: w.name)
def test_learns_what_people_prefer(world, action):
    torch.manual_seed(1)
    policy, net = ActorCritic(world.d, world.actions), RewardNet(world)
    learner, taught = Learner(policy, lr=1e-2, micro_batch=64), Learner(net, lr=1e-2, micro_batch=64)
    ppo = PPO(gamma=1.0 if action == "sequence" else 0.95, vf_coef=0.5, num_mini_batches=2, action=action)
    people = RewardModel(ties="half")
    before = world.reward(act(world, policy, 512)).sum(1).mean().item()
    for _ in range(25):
        trace = act(world, policy, 128)
        true = world.reward(trace).sum(1).view(-1, 4)
        answers = Ranked(trace, ranks_of(true))
        for _ in range(8):
            taught.step(Part(answers, people.loss))
        with torch.no_grad():
            out, reward = policy(trace), net(trace)
        reward = (reward - reward.mean()) / (reward.std() + 1e-6)
        ends = torch.zeros_like(reward)
        ends[:, -1] = 1
        experience = Experience(trace, out.logprobs, out.values, reward, ends, torch.ones_like(reward), torch.zeros(128))
        ppo.update(learner, ppo.credit(experience), lr=1e-2)
    after = world.reward(act(world, policy, 512)).sum(1).mean().item()
    assert after > before + (2 if action == "token" else 1.5), f"true return {before:.2f} -> {after:.2f}"


def test_the_language_batch_and_the_toy_trace_go_through_the_same_loss():
    """Two candidates, one preferred: minus log sigmoid of the difference, whoever scored them."""
    ranked = Ranked(Trace(torch.zeros(2, 1, 1), torch.zeros(2, 1, dtype=torch.long)), torch.tensor([[1, 2]]))
    model = SimpleNamespace(score=lambda _: torch.tensor([1.5, 0.5]))
    loss = RewardModel().loss(model, ranked)
    assert loss.total.item() == pytest.approx(torch.log1p(torch.exp(torch.tensor(-1.0))).item())
    assert loss.count.item() == 1
