"""KTO: good and bad answers, each by itself, valued as people value gains and losses (Ethayarajh et al. 2024, section 4.1)."""

from dataclasses import dataclass, replace

import torch

from heed.equations.likelihood import sequence_logprobs
from heed.equations.loss import Loss, summed
from heed.experience import Labelled


@dataclass(frozen=True)
class KTO:
    """Names as in TRL, values as in the paper."""

    beta: float = 0.1  # how soon gains and losses saturate
    desirable_weight: float = 1.0  # lambda_D: keep weight times count of the good between 1 and 4/3 of that of the bad
    undesirable_weight: float = 1.0  # lambda_U

    @torch.no_grad()
    def prepare(self, policy, batch: Labelled, micro_batch: int = 32) -> Labelled:
        """The reference point z0 of a step, from the whole batch: how far the policy is from the reference, on answers to
        other prompts; never below 0, and without a gradient."""
        parts = torch.arange(len(batch)).split(micro_batch)
        logprobs = torch.cat([_logprobs(policy, batch.mismatched.select(i)) for i in parts])
        kl = (logprobs - batch.ref_mismatched).mean().clamp(min=0)
        return replace(batch, kl=kl.expand(len(batch)))

    def loss(self, policy, batch: Labelled) -> Loss:
        """lambda - value of each answer: lambda (1 - sigmoid(beta (r - z0))), turned round for bad ones."""
        logprobs = _logprobs(policy, batch.candidates)
        reward = logprobs - batch.ref_logprobs
        good = batch.desirable
        gain = torch.where(good, reward - batch.kl, batch.kl - reward)
        weight = torch.where(good, self.desirable_weight, self.undesirable_weight)
        loss = summed(weight * (1 - torch.sigmoid(self.beta * gain)), kl=batch.kl)
        for name, which in (("chosen", good.float()), ("rejected", 1 - good.float())):
            for kind, value in (("rewards", self.beta * reward.detach()), ("logps", logprobs.detach())):
                loss.metrics[f"{kind}/{name}"] = ((value * which).sum(), which.sum())
        return loss


def _logprobs(policy, rows):
    return sequence_logprobs(policy(rows).logprobs, rows.mask)
