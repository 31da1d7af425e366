"""Reward model: learn what people prefer.

Christiano et al. 2017 (equation 1, over segments), Stiennon et al. 2020 (pairs of completions) and Ouyang et al. 2022
(equation 1: all pairs of K completions, one prompt one batch element).
"""

from dataclasses import dataclass
from typing import Literal

import torch

from heed.equations.loss import Loss
from heed.equations.preference import centre, kwise, plackett_luce


@dataclass(frozen=True)
class RewardModel:
    """Scores every candidate of a group once, and compares all of them with each other."""

    ranking: Literal["pairs", "plackett_luce"] = "pairs"  # K answers: all their pairs, or choice after choice, as in dpo.py
    ties: Literal["drop", "half"] = "drop"  # tied pairs: left out (InstructGPT), or one half each way (Christiano)
    normalise: Literal["pairs", "k_choose_2"] = "pairs"  # a group's loss is divided by the pairs it gave, or by C(K, 2)
    label_smoothing: float = 0.0  # the share of answers taken to be flipped
    noise: float = 0.0  # the share of answers taken to be given at random (Christiano et al. 2017: 0.1)
    center_rewards_coefficient: float = 0.0  # pulls rewards towards mean 0 (Eisenstein et al. 2023); 0.01 is usual

    def loss(self, model, batch) -> Loss:
        """`model.score(batch.candidates)` is one number a candidate: read off a completion, or summed over a segment."""
        scores = batch.by_group(model.score(batch.candidates))
        found = kwise(scores, batch.ranks, ties=self.ties, normalise=self.normalise, margin=batch.margin,
                      label_smoothing=self.label_smoothing, noise=self.noise)
        used = (found.pairs > 0).to(scores.dtype)
        loss = found.loss if self.ranking == "pairs" else plackett_luce(scores, batch.ranks) * used
        total = loss.sum()
        if self.center_rewards_coefficient:
            total = total + self.center_rewards_coefficient * (centre(scores, batch.ranks > 0) * used).sum()
        pairs, real = found.pairs.sum(), scores.detach()[batch.ranks > 0]
        best = torch.where(batch.ranks == 1, scores.detach(), -torch.inf).amax(1)
        worst = torch.where(batch.ranks == batch.ranks.amax(1, keepdim=True), scores.detach(), torch.inf).amin(1)
        count = used.sum()
        return Loss(total, count, {"accuracy": (found.correct.sum(), pairs), "margin": (((best - worst) * used).sum(), count),
                                   "mean_reward": (real.sum(), torch.tensor(float(len(real))))})

    def usable(self, ranks) -> bool:
        """Whether a group with these ranks has any pair to learn from; the others are kept in the store, not here."""
        ranked = [r for r in ranks if r > 0]
        return len(ranked) >= 2 and (self.ties == "half" or len(set(ranked)) >= 2)
