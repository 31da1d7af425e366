"""How far has the policy moved from its reference, and what does moving cost?

Sources: Schulman 2020 ("Approximating KL divergence": k1, k2, k3), Kullback & Leibler 1951, Lin 1991 (Jensen-Shannon),
Ziegler et al. 2019 (the penalty and its controller).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from heed.equations.precision import wide
from heed.errors import RunError, UserError

LARGEST_LOG_RATIO = 20.0  # exp(20) = 5e8; a token beyond this would drown every other one, and exp(89) is not a float32


def k1(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """log p - log q of tokens sampled from p: unbiased, negative for some (the penalty of
    Ziegler et al. 2019, equation 2)."""
    return wide(logprobs) - wide(ref_logprobs)


def k2(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """(log p - log q)^2 / 2 (Schulman 2020): biased, small variance; its gradient is that of the KL, in expectation."""
    return k1(logprobs, ref_logprobs) ** 2 / 2


def k3(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """q/p - 1 - log q/p (Schulman 2020): unbiased, never negative: GRPO's term (Shao et al. 2024, eq. 4).

    log q/p is cut at 20, where the gradient becomes 0.
    """
    log_ratio = (-k1(logprobs, ref_logprobs)).clamp(max=LARGEST_LOG_RATIO)
    return torch.expm1(log_ratio) - log_ratio  # expm1: close to the reference the two terms nearly cancel


def reverse_kl(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """KL(p || q) = sum p (log p - log q) over the whole vocabulary, in nats, [..., V] -> [...]: what RLHF penalises."""
    return _kl(_log_softmax(logits), _log_softmax(ref_logits))


def forward_kl(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """KL(q || p), [..., V] -> [...]: what maximum likelihood on samples of the reference minimises."""
    return reverse_kl(ref_logits, logits)


def jensen_shannon(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """The mean KL of p and q to their mixture (Lin 1991): [..., V] -> [...], from 0 to log 2."""
    p, q = _log_softmax(logits), _log_softmax(ref_logits)
    mixture = torch.logaddexp(p, q) - math.log(2)
    return (_kl(p, mixture) + _kl(q, mixture)) / 2


def total_variation(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """Half the sum of |p - q|: [..., V] -> [...], from 0 to 1; at most sqrt(KL / 2) (Pinsker's inequality)."""
    return (wide(logits).softmax(-1) - wide(ref_logits).softmax(-1)).abs().sum(-1) / 2


def _log_softmax(logits: Tensor) -> Tensor:
    # A token that was ruled out (logit -inf) counts 0 log 0 = 0; with -inf itself, 0 times -inf would make it NaN.
    return F.log_softmax(wide(logits), -1).clamp(min=-1e30)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1)


@dataclass
class FixedKL:
    """The same price for every nat (Ziegler et al. 2019, equation 2)."""

    coef: float

    def update(self, kl: float, n: int) -> None:
        """Nothing to learn from a KL."""

    def state_dict(self) -> dict[str, float]:
        """What a checkpoint needs, as plain numbers."""
        return {"coef": self.coef}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take up where `state_dict` was written."""
        self.coef = float(state["coef"])


@dataclass
class AdaptiveKL(FixedKL):
    """A price that holds the KL near a target (Ziegler et al. 2019, section 2.2).

        error = clip(KL / target - 1, -0.2, 0.2)
        coef *= 1 + error n / horizon

    KL in nats, summed over the tokens of a response, mean over the batch; `n` responses in the batch.  The defaults are
    those of lm-human-preferences.
    """

    target: float = 6.0
    horizon: int = 10_000

    def update(self, kl: float, n: int) -> None:
        """Raise the price where the KL was above the target, lower it where it was below."""
        if not math.isfinite(kl):
            raise RunError(f"the KL to the reference policy is {kl}: the policy has diverged")
        if n >= 5 * self.horizon:
            raise UserError(f"kl horizon {self.horizon}: must be more than a fifth of the batch of {n} responses, or "
                            "one step could turn the KL penalty negative")
        error = min(max(kl / self.target - 1, -0.2), 0.2)
        self.coef *= 1 + error * n / self.horizon
