"""Imitation of every answer, the better ones more (Peters & Schaal 2007, reward-weighted regression; Peng et al. 2019).

Maximum likelihood on samples of the reference, weighted by exp(reward / beta), has the same best policy as reinforcement
learning with that price of a nat: pi_ref exp(reward / beta).  What stands between them is how few samples carry the weight.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from heed.algorithms.sft import SFT
from heed.equations.loss import Loss
from heed.experience import Experience, Ranked, Rated
from heed.training.learner import Learner, Part


@dataclass(frozen=True)
class PositionWeighted:
    """The reward is the place in the ranking: 1 for the first, 0 for the last."""

    beta: float = 0.5  # how much better a place must be to weigh e times as much

    def examples(self, ranked: Ranked):
        """All candidates, each token weighing what its answer does; weights of a ranking have mean 1."""
        present = ranked.ranks > 0
        last = ranked.ranks.amax(1, keepdim=True)
        place = (last - ranked.ranks) / (last - 1).clamp(min=1)
        weight = torch.where(present, (place / self.beta).exp(), 0.0)
        weight = weight / weight.sum(1, keepdim=True) * present.sum(1, keepdim=True)
        return weighing(ranked.candidates, weight[present])

    def loss(self, policy, batch) -> Loss:
        """-log p of every token, by weight."""
        return SFT().loss(policy, batch)


@dataclass(frozen=True)
class RatingWeighted:
    """The reward is an absolute rating, in standard deviations from the mean; or that of the policy's own completions."""

    beta: float = 1.0  # how many standard deviations make an answer weigh e times as much
    most: float = 20.0  # the largest weight (Peng et al. 2019)

    def examples(self, rated: Rated):
        """All candidates, each token weighing what its answer does."""
        return weighing(rated.candidates, self.weights(rated.given))

    def weights(self, rewards: Tensor) -> Tensor:
        """[N] exp of the standardised reward / beta, cut at `most`."""
        standard = (rewards - rewards.mean()) / rewards.std(unbiased=False).clamp(min=1e-8)
        return (standard / self.beta).exp().clamp(max=self.most)

    def loss(self, policy, batch) -> Loss:
        """-log p of every token, by weight."""
        return SFT().loss(policy, batch)

    def credit(self, e: Experience):
        """The policy's own completions with their weights."""
        return weighing(e.inputs, self.weights((e.rewards * e.mask).sum(1)))

    def update(self, learner: Learner, batch, *, lr: float) -> dict[str, float]:
        """One step."""
        return learner.step(Part(batch, self.loss), lr=lr)


def weighing(candidates, weights: Tensor):
    """The same candidates, whose tokens count `weights` [N] each."""
    return replace(candidates, mask=candidates.mask * weights[:, None])
