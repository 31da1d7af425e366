"""How much better was each action than expected?

Sources: Sutton & Barto 2018 (returns), Schulman et al. 2016 (GAE), Kool et al. 2019 and Ahmadian et al. 2024 (leave one
out), Shao et al. 2024 and Liu et al. 2025 (within a group), Ziegler et al. 2019 (whitening).

Rewards, values and masks are [batch, time].  `mask` is true where a step was taken; what stands elsewhere is ignored,
NaN included, and gives 0.
"""

import torch
from torch import Tensor

from heed.equations.precision import wide


def discounted_return(
    rewards: Tensor, dones: Tensor, last_value: Tensor, gamma: float, mask: Tensor | None = None
) -> Tensor:
    """G_t = r_t + gamma G_{t+1}, [batch, time] (Sutton & Barto 2018, equation 3.9).

    The chain is cut where `dones` is true and starts from `last_value` [batch] behind the last step taken.
    """
    return gae(rewards, torch.zeros_like(rewards), dones, last_value, gamma, 1.0, mask)


def gae(
    rewards: Tensor,
    values: Tensor,
    dones: Tensor,
    last_value: Tensor,
    gamma: float,
    lam: float,
    mask: Tensor | None = None,
) -> Tensor:
    """Generalised advantage estimation, [batch, time] (Schulman et al. 2016, equation 16).

        delta_t = r_t + gamma V_{t+1} - V_t
        A_t     = delta_t + gamma lam A_{t+1}

    `dones` is true where the episode ended with that step: nothing follows, whatever the critic says.  `last_value`
    [batch] is the critic's value of the state behind the last step taken, for rows that were cut off and not ended.
    Rows may have different lengths: a masked step is passed over as if it were not there.
    """
    taken = torch.ones_like(rewards, dtype=torch.bool) if mask is None else mask.bool()
    rewards, values, next_value = wide(rewards), wide(values), wide(last_value)
    alive = 1.0 - dones.to(rewards.dtype)
    advantage, advantages = torch.zeros_like(next_value), []
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * next_value * alive[:, t] - values[:, t]
        advantage = torch.where(taken[:, t], delta + gamma * lam * alive[:, t] * advantage, advantage)
        next_value = torch.where(taken[:, t], values[:, t], next_value)
        advantages.append(advantage)
    stacked = torch.stack(advantages[::-1], 1) if advantages else torch.zeros_like(rewards)
    return torch.where(taken, stacked, 0.0)


def leave_one_out(scores: Tensor) -> Tensor:
    """Each score minus the mean of its siblings, [prompts, k] (Kool et al. 2019; Ahmadian et al. 2024)."""
    k = scores.shape[1]
    if k < 2:
        raise ValueError("leave one out needs at least 2 completions a prompt: alone, each is its own baseline")
    scores = wide(scores)
    return (scores - scores.mean(1, keepdim=True)) * (k / (k - 1))


def group_normalised(scores: Tensor, *, scale: bool = True, eps: float = 1e-4) -> Tensor:
    """(score - mean of its group) / standard deviation of its group, [prompts, k] (Shao et al. 2024, section 4.1.2).

    The division makes prompts that are nearly always right, or nearly always wrong, weigh more; `scale=False` leaves it
    out (Dr. GRPO, Liu et al. 2025).  A group whose scores are all equal has nothing to say and gives 0.
    """
    scores = wide(scores)
    centred = scores - scores.mean(1, keepdim=True)
    if not scale:
        return centred
    if scores.shape[1] < 2:
        raise ValueError("a group of 1 has no standard deviation: sample at least 2 completions a prompt")
    return centred / (scores.std(1, keepdim=True) + eps)


def whiten(x: Tensor, mask: Tensor | None = None, *, shift_mean: bool = True) -> Tensor:
    """`x` with variance 1 and, if `shift_mean`, mean 0 over the unmasked entries; 0 elsewhere.

    Advantages are shifted; rewards keep their mean (`shift_mean=False`), because its sign is what is to be learnt.
    The variance is the biased one and 1e-8 is added to it, as in the code of Ziegler et al. 2019, so that a batch
    without spread gives zeros and not NaN.
    """
    x = wide(x)
    taken = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.bool()
    x = torch.where(taken, x, 0.0)
    count = taken.sum().clamp(min=1)
    mean = x.sum() / count
    variance = ((x - mean) ** 2 * taken).sum() / count
    whitened = (x - mean) * torch.rsqrt(variance + 1e-8)
    return torch.where(taken, whitened if shift_mean else whitened + mean, 0.0)
