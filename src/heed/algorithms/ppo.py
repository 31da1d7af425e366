"""PPO: improve the policy without stepping too far from the one that acted.

Schulman et al. 2017, equations 7 and 9; the language-model form is that of Ziegler et al. 2019 and Stiennon et al. 2020,
whose KL penalty has already been folded into the rewards by the rollout; with pretraining text mixed into every step it is
PPO-ptx (Ouyang et al. 2022, equation 2).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from heed.algorithms.sft import SFT
from heed.equations.advantage import gae, whiten
from heed.equations.loss import Loss, summed
from heed.experience import Experience
from heed.training.learner import Learner, Part
from heed.training.passes import mean_of, steps_of


@dataclass(frozen=True)
class PPO:
    """Names as in TRL, values as in lm-human-preferences and Huang et al. 2024."""

    cliprange: float = 0.2  # how far the ratio may move from 1 before it stops counting
    cliprange_value: float = 0.2  # the same for the value, around the one at acting time
    vf_coef: float = 0.1  # weight of the value loss
    entropy_coef: float = 0.0  # bonus for entropy
    gamma: float = 1.0  # discount
    lam: float = 0.95  # GAE's lambda
    num_ppo_epochs: int = 4  # passes over each rollout
    num_mini_batches: int = 1  # optimizer steps a pass
    whiten_rewards: bool = False  # divide rewards by their standard deviation (Ziegler et al. 2019), the mean kept
    action: Literal["token", "sequence"] = "token"  # what one action is: a token, or the whole completion (a bandit)
    ptx_coef: float = 0.0  # PPO-ptx: weight of the pretraining loss, both losses means a token (InstructGPT: 27.8)

    def credit(self, e: Experience) -> Experience:
        """Turn rewards into advantages, once, under the policy that acted."""
        if self.action == "sequence":
            e = as_one_step(e)
        rewards = whiten(e.rewards, e.mask, shift_mean=False) if self.whiten_rewards else e.rewards
        advantages = gae(rewards, e.values, e.dones, e.last_value, self.gamma, self.lam, e.mask)
        return replace(e, advantages=whiten(advantages, e.mask), returns=advantages + e.values)

    def loss(self, policy, b: Experience) -> Loss:
        """The clipped surrogate plus the clipped value error, over actions; `policy(inputs)` gives [batch, tokens]."""
        now = policy(b.inputs, entropy=self.entropy_coef > 0)
        logprobs, values, entropy = now.logprobs, now.values, now.entropy
        if self.action == "sequence":
            logprobs, values = logprobs.sum(1, keepdim=True), values[:, :1]
            entropy = None if entropy is None else entropy.sum(1, keepdim=True)
        ratio = ((logprobs - b.logprobs) * b.mask).exp()
        surrogate, clipped = clipped_surrogate(ratio, b.advantages, self.cliprange)
        value, value_clipped = clipped_value_error(values, b.values, b.returns, self.cliprange_value)
        loss = -surrogate + self.vf_coef * value
        if entropy is not None:
            loss = loss - self.entropy_coef * entropy
        return summed(loss, b.mask, **{
            "loss/policy_avg": -surrogate, "loss/value_avg": value, "policy/clipfrac_avg": clipped,
            "val/clipfrac_avg": value_clipped, "policy/approxkl_avg": 0.5 * (logprobs - b.logprobs) ** 2,
            "val/ratio": ratio, "ratio_squared": ratio**2, "ratio_error": (ratio - 1).abs()})

    def update(self, learner: Learner, e: Experience, *, lr: float, pretraining: Iterator | None = None) -> dict[str, float]:
        """Epochs of clipped steps; the mean of each figure.  `pretraining` gives batches of text for PPO-ptx."""
        def text() -> list[Part]:
            return [Part(next(pretraining), _ptx, self.ptx_coef, "ptx")] if self.ptx_coef and pretraining is not None else []

        steps = steps_of(learner, e, self.loss, lr=lr, epochs=self.num_ppo_epochs, mini_batches=self.num_mini_batches,
                         beside=text)
        mean = mean_of(steps)
        mean["val/ratio_var"] = mean.pop("ratio_squared") - mean["val/ratio"] ** 2
        mean["val/first_ratio_error"] = steps[0]["ratio_error"]
        del mean["ratio_error"]
        return mean | {"val/var_explained": _explained(e)}


def _ptx(model, batch) -> Loss:
    return SFT().loss(model.policy, batch)


def as_one_step(e: Experience) -> Experience:
    """A completion as one action of a contextual bandit: log-probabilities and rewards summed, one value, one end."""
    one = torch.ones(len(e), 1)
    return replace(e, logprobs=(e.logprobs * e.mask).sum(1, keepdim=True), values=e.values[:, :1], dones=one, mask=one,
                   rewards=(e.rewards * e.mask).sum(1, keepdim=True))


def clipped_surrogate(ratio: Tensor, advantages: Tensor, clip: float, high: float | None = None) -> tuple[Tensor, Tensor]:
    """min(r A, clip(r, 1 - clip, 1 + clip) A), and where the clip took hold (equation 7); `high` is another upper clip."""
    plain, bounded = ratio * advantages, ratio.clamp(1 - clip, 1 + (clip if high is None else high)) * advantages
    return torch.minimum(plain, bounded), (bounded < plain).to(ratio.dtype)


def clipped_value_error(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Half the larger of the two squared errors, and where the clipped one was larger (lm-human-preferences)."""
    bounded = old_values + (values - old_values).clamp(-clip, clip)
    plain, clipped = (values - returns) ** 2, (bounded - returns) ** 2
    return 0.5 * torch.maximum(plain, clipped), (clipped > plain).to(values.dtype)


def _explained(e: Experience) -> float:
    mask = e.mask.bool()
    returns, errors = e.returns[mask], (e.returns - e.values)[mask]
    variance = returns.var(unbiased=False)
    return float(1 - errors.var(unbiased=False) / variance) if variance > 0 else 0.0
