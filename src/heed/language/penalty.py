"""The price of leaving the reference, paid in the loss and not in the reward.

What a divergence of sampled tokens has for a gradient is not what its value suggests: that of k1 is nothing, that of k3 is
KL(reference || policy)'s, that of k2 is KL(policy || reference)'s (Tang & Munos 2025).  The exact ones sum over the
vocabulary at every token that was sampled (kl, forward_kl, js, tv) and ask the reference for all of it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from heed.equations.divergence import forward_kl, jensen_shannon, k1, k2, k3, reverse_kl, total_variation
from heed.equations.loss import Loss, summed
from heed.language.actor import distributions
from heed.language.batches import Tokens
from heed.language.policy import Policy
from heed.language.rollout import reference_of
from heed.training.learner import Learner, Part

SAMPLED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"k1": k1, "k2": k2, "k3": k3}
EXACT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kl": reverse_kl, "forward_kl": forward_kl, "js": jensen_shannon, "tv": total_variation}  # fmt: skip


def divergence(kind: str, model: nn.Module, reference: Policy | None, rows: Tokens) -> Loss:
    """The divergence of `model.policy` from the reference, nats a token (tv: a share); `reference` None: without adapters."""
    with torch.no_grad(), reference_of(model, reference) as ref:
        then = ref(rows).logprobs if kind in SAMPLED else distributions(ref, rows)
    if kind in SAMPLED:
        return summed(SAMPLED[kind](model.policy(rows).logprobs, then), rows.mask)
    width = then.shape[1]  # tokens that were added since are none of the reference's
    return summed(EXACT[kind](distributions(model.policy, rows)[:, :width], then), rows.mask[rows.mask > 0])


class Penalised:
    """A learner each of whose steps pays `coef` a nat of divergence, summed and counted as the method sums its own loss."""

    def __init__(self, learner: Learner, kind: str, coef: float, reference: Policy | None):
        self.learner, self.kind, self.coef, self.reference = learner, kind, coef, reference

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        return self.learner.model

    def step(self, *parts: Part, lr: float | None = None) -> dict[str, float]:
        """The method's parts, and the price on the same rows."""
        batch: Any = parts[0].batch
        rows = batch.inputs
        weight = self.coef * float(rows.count) / max(1.0, float(batch.count))  # over tokens here, over the method's units there
        price = Part(rows, lambda model, some: divergence(self.kind, model, self.reference, some), weight, "divergence")
        return self.learner.step(*parts, price, lr=lr)
