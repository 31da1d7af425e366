"""REINFORCE++: PPO's tricks without its critic (Hu 2025, section 3).

A token's advantage is what its completion still earns, its KL penalties included, whitened over the whole batch and not
within the prompt's group: one completion a prompt is enough, and no group can be too easy to matter.
"""

from dataclasses import dataclass, replace

from heed.algorithms.ppo import clipped_surrogate
from heed.equations.advantage import discounted_return, whiten
from heed.equations.loss import Loss, summed
from heed.experience import Experience
from heed.training.learner import Learner
from heed.training.passes import passes


@dataclass(frozen=True)
class ReinforcePP:
    """Names as in PPO."""

    cliprange: float = 0.2  # how far the ratio may move from 1 before it stops counting
    gamma: float = 1.0  # discount
    num_iterations: int = 1  # passes over each rollout
    num_mini_batches: int = 1  # optimizer steps a pass

    def credit(self, e: Experience) -> Experience:
        """Returns to come, whitened over all tokens."""
        returns = discounted_return(e.rewards, e.dones, e.last_value, self.gamma, e.mask)
        return replace(e, returns=returns, advantages=whiten(returns, e.mask))

    def loss(self, policy, b: Experience) -> Loss:
        """The clipped surrogate over tokens; `policy(inputs)` gives [batch, tokens]."""
        ratio = ((policy(b.inputs).logprobs - b.logprobs) * b.mask).exp()
        surrogate, clipped = clipped_surrogate(ratio, b.advantages, self.cliprange)
        return summed(-surrogate, b.mask, **{"policy/clipfrac_avg": clipped, "val/ratio": ratio})

    def update(self, learner: Learner, e: Experience, *, lr: float) -> dict[str, float]:
        """Passes over the rollout."""
        return passes(learner, e, self.loss, lr=lr, epochs=self.num_iterations, mini_batches=self.num_mini_batches)
