"""GRPO: PPO without a critic; a completion's siblings say what was to be expected (Shao et al. 2024, equations 3 and 4).

The options of two later papers go by their names: Dr. GRPO (Liu et al. 2025) is scale_rewards=False, loss_over="sum";
DAPO (Yu et al. 2025) is epsilon_high=0.28, loss_over="token", skip_equal=True and mask_truncated_completions=True, with
beta=0 in both.  The correction of the KL's gradient is DeepSeek-V3.2's (DeepSeek-AI 2025).
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch

from heed.algorithms.ppo import clipped_surrogate
from heed.equations.advantage import group_normalised
from heed.equations.divergence import k3
from heed.equations.loss import Loss, summed
from heed.experience import Experience, Whole
from heed.training.learner import Learner
from heed.training.passes import passes


@dataclass(frozen=True)
class GRPO:
    """Names and values as in TRL where it has them; the paper's group is 64 and its beta 0.04."""

    num_generations: int = 8  # completions of one prompt, side by side in the batch
    epsilon: float = 0.2  # how far the ratio may fall below 1, or rise above it, before it stops counting
    epsilon_high: float | None = None  # another bound above 1 (DAPO: 0.28)
    beta: float = 0.0  # weight of the KL to the reference (k3) in the loss
    use_bias_correction_kl: bool = False  # k3 times the ratio: the gradient of KL(policy || reference), not of its reverse
    scale_rewards: bool = True  # divide by the standard deviation of the group; Dr. GRPO does not
    loss_over: Literal["sequence", "token", "sum"] = "sequence"  # a mean of means (GRPO), of tokens (DAPO), of sums (Dr. GRPO)
    skip_equal: bool = False  # groups whose completions all got the same do not count (DAPO, which samples others instead)
    mask_truncated_completions: bool = False  # completions cut off at the limit do not count (DAPO)
    num_iterations: int = 1  # passes over each rollout
    num_mini_batches: int = 1  # optimizer steps a pass

    def credit(self, e: Experience) -> Experience:
        """One advantage for every token of a completion: its reward among those of its group."""
        scores = (e.rewards * e.mask).sum(1).view(-1, self.num_generations)
        advantages = group_normalised(scores, scale=self.scale_rewards).view(-1, 1)
        counted = torch.ones_like(advantages)
        if self.skip_equal:
            counted = counted * (scores != scores[:, :1]).any(1).repeat_interleave(self.num_generations)[:, None]
        if self.mask_truncated_completions:
            counted = counted * e.finished[:, None]
        kept = replace(e, advantages=advantages.expand_as(e.mask), mask=e.mask * counted)
        kept = kept.select(counted[:, 0].nonzero()[:, 0]) if 0 < counted.sum() < len(e) else kept
        return kept if self.loss_over == "token" else Whole(**{f.name: getattr(kept, f.name) for f in fields(kept)})

    def loss(self, policy, b: Experience) -> Loss:
        """The clipped surrogate plus beta k3; `policy(inputs)` gives [batch, tokens]."""
        logprobs = policy(b.inputs).logprobs
        ratio = ((logprobs - b.logprobs) * b.mask).exp()
        surrogate, clipped = clipped_surrogate(ratio, b.advantages, self.epsilon, self.epsilon_high)
        kl = k3(logprobs, b.ref_logprobs) if self.beta else torch.zeros_like(ratio)
        kl = kl * ratio if self.use_bias_correction_kl else kl
        found = summed(self.beta * kl - surrogate, b.mask, **{
            "policy/clipfrac_avg": clipped, "val/ratio": ratio, "policy/ref_kl": kl})
        if self.loss_over == "token":
            return found
        a_row = (torch.where(b.mask > 0, self.beta * kl - surrogate, 0.0)).sum(1)
        if self.loss_over == "sequence":
            a_row = a_row / b.mask.sum(1).clamp(min=1)
        return Loss(a_row.sum(), b.count, found.metrics)

    def update(self, learner: Learner, e: Experience, *, lr: float) -> dict[str, float]:
        """Passes over the rollout."""
        return passes(learner, e, self.loss, lr=lr, epochs=self.num_iterations, mini_batches=self.num_mini_batches)
