"""REINFORCE: make what went better than expected more likely (Williams 1992; with a baseline, Sutton & Barto 2018, 13.4)."""

from dataclasses import dataclass, replace
from typing import Literal

import torch

from heed.equations.advantage import discounted_return, whiten
from heed.equations.loss import Loss, summed
from heed.experience import Experience
from heed.training.learner import Learner, Part


@dataclass(frozen=True)
class REINFORCE:
    """One step a rollout, each action weighed by the return that followed it, less a baseline."""

    baseline: Literal["none", "mean", "value"] = "value"  # what a return is compared with: 0, the batch's mean, or the critic
    gamma: float = 1.0  # discount
    vf_coef: float = 0.5  # weight of the value loss, where the critic is the baseline
    entropy_coef: float = 0.0  # bonus for entropy
    normalise: bool = True  # give the weights variance 1

    def credit(self, e: Experience) -> Experience:
        """Returns to the end (from the critic's value where a row was cut off), less the baseline."""
        returns = discounted_return(e.rewards, e.dones, e.last_value, self.gamma, e.mask)
        if self.baseline == "value":
            advantages = returns - e.values
        elif self.baseline == "mean":
            advantages = returns - (returns * e.mask).sum() / e.count
        else:
            advantages = returns
        if self.normalise:
            advantages = whiten(advantages, e.mask, shift_mean=False)
        return replace(e, advantages=torch.where(e.mask.bool(), advantages, 0.0), returns=returns)

    def loss(self, policy, b: Experience) -> Loss:
        """-A log pi, the critic's half squared error, and the bonus, over actions."""
        now = policy(b.inputs, entropy=self.entropy_coef > 0)
        actor, value = -b.advantages * now.logprobs, 0.5 * (now.values - b.returns) ** 2
        loss = actor + self.vf_coef * value if self.baseline == "value" else actor
        if now.entropy is not None:
            loss = loss - self.entropy_coef * now.entropy
        return summed(loss, b.mask, **{"loss/policy_avg": actor, "loss/value_avg": value})

    def update(self, learner: Learner, e: Experience, *, lr: float) -> dict[str, float]:
        """One step: after it the rollout is no longer the policy's own."""
        return learner.step(Part(e, self.loss), lr=lr)
