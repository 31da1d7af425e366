"""A policy and its critic: two small networks over normalised observations.

Learning happens in torch; acting, a few copies at a time, in numpy, where a forward pass costs less than half.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heed.control.batches import Steps

LOG_ROOT_2PI = 0.5 * float(np.log(2 * np.pi))


class Looked(NamedTuple):
    """What `ActorCritic` says of steps, all [batch, time]."""

    logprobs: Tensor
    values: Tensor
    entropy: Tensor | None


def mlp(sizes: list[int], gain: float) -> nn.Sequential:
    """Linear layers with tanh between; orthogonal weights, the last layer's scaled by `gain`."""
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        last = i == len(sizes) - 2
        layer = nn.Linear(a, b)
        nn.init.orthogonal_(layer.weight, gain if last else 2**0.5)
        nn.init.zeros_(layer.bias)
        layers += [layer] if last else [layer, nn.Tanh()]
    return nn.Sequential(*layers)


class ActorCritic(nn.Module):
    """A Gaussian with a learnt spread that no state changes (or a choice among actions), and a value."""

    def __init__(self, obs_size: int, action_size: int, *, discrete: bool = False, hidden: tuple[int, ...] = (64, 64),
                 log_std: float = 0.0):
        super().__init__()
        self.discrete = discrete
        self.actor = mlp([obs_size, *hidden, action_size], 0.01)
        self.critic = mlp([obs_size, *hidden, 1], 1.0)
        self.log_std = None if discrete else nn.Parameter(torch.full((action_size,), log_std))

    def actor_parameters(self) -> list[nn.Parameter]:
        """Those that decide what is done."""
        return [*self.actor.parameters(), *([] if self.log_std is None else [self.log_std])]

    def value(self, obs: Tensor) -> Tensor:
        """[..., do] -> [...]"""
        return self.critic(obs).squeeze(-1)

    def forward(self, steps: Steps, entropy: bool = False) -> Looked:
        """How likely the actions taken are now, and what the states are worth."""
        out = self.actor(steps.obs)
        values = self.value(steps.obs)
        if self.discrete:
            log_p = out.log_softmax(-1)
            chosen = log_p.gather(-1, steps.actions.long()[..., None]).squeeze(-1)
            return Looked(chosen, values, -(log_p.exp() * log_p).sum(-1) if entropy else None)
        z = (steps.actions - out) * torch.exp(-self.log_std)
        spread = self.log_std.sum()
        logprobs = -0.5 * (z * z).sum(-1) - spread - LOG_ROOT_2PI * out.shape[-1]
        each = spread + (0.5 + LOG_ROOT_2PI) * out.shape[-1]
        return Looked(logprobs, values, each.expand_as(values) if entropy else None)


class Actor:
    """The policy as it acts: a copy of its weights in numpy."""

    def __init__(self, policy: ActorCritic):
        layers = [m for m in policy.actor if isinstance(m, nn.Linear)]
        self.layers = [(m.weight.detach().numpy().T.copy(), m.bias.detach().numpy().copy()) for m in layers]
        self.std = None if policy.discrete else policy.log_std.detach().exp().numpy()

    def output(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean action, or logits, of normalised observations [n, do]."""
        for weight, bias in self.layers[:-1]:
            obs = np.tanh(obs @ weight + bias)
        return obs @ self.layers[-1][0] + self.layers[-1][1]

    def act(self, obs: NDArray[np.float32], random: np.random.Generator | None) -> NDArray:
        """An action for each row, the most likely one without `random`."""
        out = self.output(obs)
        if self.std is not None:
            return out if random is None else out + self.std * random.standard_normal(out.shape, np.float32)
        return (out if random is None else out + random.gumbel(size=out.shape)).argmax(1)


class Normaliser:
    """Mean and spread of observations seen so far, by which they are normalised and cut at 10."""

    def __init__(self, size: int):
        self.mean, self.m2, self.count = np.zeros(size), np.zeros(size), 0.0
        self._set()

    def _set(self) -> None:
        var = self.m2 / self.count if self.count else np.ones_like(self.m2)
        self.shift, self.scale = self.mean.astype(np.float32), (1 / np.sqrt(var + 1e-8)).astype(np.float32)

    def __call__(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        return ((obs - self.shift) * self.scale).clip(-10, 10)

    def update(self, obs: NDArray[np.float32]) -> None:
        """Take in [..., size] (Chan et al. 1979)."""
        flat = obs.reshape(-1, obs.shape[-1]).astype(np.float64)
        n, mean = len(flat), flat.mean(0)
        delta, total = mean - self.mean, self.count + n
        self.m2 = self.m2 + ((flat - mean) ** 2).sum(0) + delta**2 * (self.count * n / total)
        self.mean, self.count = self.mean + delta * (n / total), total
        self._set()

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return {"mean": torch.from_numpy(self.mean), "m2": torch.from_numpy(self.m2),
                "count": torch.tensor([self.count], dtype=torch.float64)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `state` gave."""
        self.mean, self.m2 = tensors["mean"].numpy().copy(), tensors["m2"].numpy().copy()
        self.count = float(tensors["count"][0])
        self._set()


class ReturnScale:
    """The spread of discounted returns, by which rewards are divided so that the critic's values are of size 1."""

    def __init__(self, gamma: float, decay: float = 0.99):
        self.gamma, self.decay, self.variance = gamma, decay, None

    def __call__(self, rewards: Tensor, ends: Tensor) -> Tensor:
        """Rewards [n, T] divided by the spread, which takes these in first; `ends` [n, T] is true where episodes end."""
        running, seen = torch.zeros(len(rewards), dtype=torch.float64), []
        for t in range(rewards.shape[1]):
            running = running * self.gamma + rewards[:, t]
            seen.append(running)
            running = running * (1 - ends[:, t].double())
        now = float(torch.stack(seen).var())
        self.variance = now if self.variance is None else self.decay * self.variance + (1 - self.decay) * now
        return (rewards / (self.variance + 1e-8) ** 0.5).float()
