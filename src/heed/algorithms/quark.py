"""Quark: sort what was sampled by reward, learn each share behind a word of its own, and ask for the best (Lu et al. 2022).

Algorithm 1 with equation 2: -log p of a completion given the word of its quantile, plus the exact KL of the reference from the
policy at every token, minus entropy.  The reference never sees the word.  Each exploration is sorted by itself.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from heed.equations.divergence import forward_kl
from heed.equations.loss import Loss, summed
from heed.experience import Experience
from heed.training.learner import Learner
from heed.training.passes import passes


@dataclass(frozen=True)
class Quark:
    """The paper's values; it takes hundreds of steps between two explorations."""

    levels: int = 5  # quantiles, each with its word; the last is the best
    beta: float = 0.05  # weight of the KL
    entropy_coef: float = 0.06  # bonus for entropy
    num_iterations: int = 4  # passes over each exploration
    num_mini_batches: int = 1  # optimizer steps a pass

    def level(self, rewards: Tensor) -> Tensor:
        """[N] the quantile of each, from 0, in shares as even as can be; equal rewards in the order they came."""
        place = rewards.argsort(stable=True).argsort(stable=True)
        return torch.div(place * self.levels, len(rewards), rounding_mode="floor")

    def credit(self, e: Experience) -> Experience:
        """Each completion behind the word of its quantile; `e.inputs.words` [levels] are the words."""
        return replace(e, inputs=e.inputs.behind(self.level((e.rewards * e.mask).sum(1))))

    def loss(self, model, batch) -> Loss:
        """`model.both(batch)`: logits of policy and reference [M, V] at the tokens that count, and those tokens [M]."""
        logits, ref_logits, chosen = model.both(batch)
        logs = logits.log_softmax(-1)
        likely, entropy = logs.gather(1, chosen[:, None])[:, 0], -(logs.exp() * logs).sum(-1)
        kl = forward_kl(logits, ref_logits)
        loss = -likely + self.beta * kl - self.entropy_coef * entropy
        return summed(loss, **{"policy/ref_kl": kl, "policy/entropy": entropy})

    def update(self, learner: Learner, e: Experience, *, lr: float) -> dict[str, float]:
        """Passes over the exploration."""
        return passes(learner, e, self.loss, lr=lr, epochs=self.num_iterations, mini_batches=self.num_mini_batches, inputs=True)
