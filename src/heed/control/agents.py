"""Agents: they act, are told what each step was worth, and learn.

`act(random)` gives a rollout, `learn(rollout, rewards, lr)` an update on it, `state()` and `restore()` serve a checkpoint.
Here are the agents that learn from what they have just done, by PPO, TRPO, A2C or REINFORCE; `heed.control.sb3` lends those
of stable-baselines3.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from heed.control.batches import Steps, by_step
from heed.control.environments import Batch
from heed.control.policy import Actor, ActorCritic, Normaliser, ReturnScale
from heed.control.rollout import Rollout, act, evaluate
from heed.experience import Experience
from heed.training.learner import Learner


@dataclass
class OnPolicy:
    """A policy that learns from its own last `steps` steps in every copy of `env`, by any algorithm of heed.algorithms."""

    env: Batch
    policy: ActorCritic
    learner: Learner
    algorithm: Any  # credit(experience) and update(learner, experience, lr=...)
    steps: int
    normaliser: Normaliser = field(init=False)

    def __post_init__(self):
        self.normaliser = Normaliser(self.env.obs_size)
        self.scale = ReturnScale(self.algorithm.gamma)
        self.obs = self.env.begin(staggered=True)

    def act(self, random: np.random.Generator) -> Rollout:
        """Act for `steps` steps in every copy."""
        rollout = act(self.env, self.obs, Actor(self.policy), self.normaliser, self.steps, random)
        self.obs = rollout.after
        return rollout

    def learn(self, rollout: Rollout, rewards: NDArray, lr: float) -> dict[str, float]:
        """One update on a rollout whose steps were worth `rewards` [n, T]; then its observations are taken in."""
        figures = self.algorithm.update(self.learner, self._experience(rollout, rewards), lr=lr)
        self.see(rollout)
        return figures

    def see(self, rollout: Rollout) -> None:
        """Only take in what was observed."""
        self.normaliser.update(rollout.obs)

    def evaluate(self, env: Batch) -> NDArray[np.float64]:
        """True return of one whole episode in every copy of `env`, acting without chance."""
        return evaluate(env, Actor(self.policy), self.normaliser)

    @torch.no_grad()
    def _experience(self, rollout: Rollout, rewards: NDArray) -> Experience:
        ends = torch.from_numpy(rollout.ends)
        inputs = Steps(torch.from_numpy(self.normaliser(rollout.obs)), torch.from_numpy(rollout.sampled))
        looked = self.policy(inputs)
        scaled = self.scale(torch.from_numpy(np.ascontiguousarray(rewards)), ends)
        if rollout.final:  # a cut-off episode would have gone on: what it was still worth belongs to its last step
            last = self.policy.value(torch.from_numpy(self.normaliser(np.stack(list(rollout.final.values())))))
            for (i, t), value in zip(rollout.final, last, strict=True):
                scaled[i, t] += self.algorithm.gamma * value
        after = self.policy.value(torch.from_numpy(self.normaliser(rollout.after)))
        e = Experience(inputs, looked.logprobs, looked.values, scaled, ends.float(), torch.ones_like(scaled), after)
        return by_step(self.algorithm.credit(e))

    def state(self) -> dict[str, torch.Tensor]:
        """All that is not in the learner."""
        kept = {f"env.{k}": torch.from_numpy(v) for k, v in self.env.keep().items()}
        variance = float("nan") if self.scale.variance is None else self.scale.variance
        return kept | {f"normaliser.{k}": v for k, v in self.normaliser.state().items()} | {
            "scale": torch.tensor([variance], dtype=torch.float64)}

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take up what `state` gave."""
        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.normaliser.restore(part("normaliser."))
        variance = float(tensors["scale"][0])
        self.scale.variance = None if np.isnan(variance) else variance
        self.obs = self.env.restore({k: v.numpy() for k, v in part("env.").items()})

