"""A policy without a critic, in the shape of one that has one."""

import torch
from torch import Tensor, nn

from heed.language.batches import Tokens, Told, told
from heed.language.policy import Outputs, Policy, hidden_states
from heed.language.rollout import reference_of


class Actor(nn.Module):
    """What methods that compare completions with each other train."""

    def __init__(self, policy: Policy):
        super().__init__()
        self.policy = policy

    def forward(self, rows: Tokens, entropy: bool = False) -> Outputs:
        """Log-probabilities [B, T]; no values."""
        return self.policy(rows, entropy)


def distributions(policy: Policy, rows: Tokens) -> Tensor:
    """Logits over the whole vocabulary at the tokens that count, row after row: [M, V], at the policy's temperature."""
    hidden, source, _ = hidden_states(policy.lm, rows, policy.packing)
    return policy.distributions(hidden, source[rows.mask > 0])


class Conditioned(Actor):
    """A policy that reads each completion behind the token that says how good it is, beside the reference, which does not."""

    def __init__(self, policy: Policy, reference: Policy | None):
        super().__init__(policy)
        self.others = (reference,)  # in a tuple: not trained, not saved

    def forward(self, rows: Told, entropy: bool = False) -> Outputs:
        """As for Actor; the token itself is not among the outputs."""
        out = self.policy(told(rows, rows.word), entropy)
        return Outputs(out.logprobs[:, 1:], None if out.entropy is None else out.entropy[:, 1:])

    def both(self, rows: Told) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of policy and reference [M, V] at the tokens that count, and those tokens [M]."""
        with torch.no_grad(), reference_of(self, self.others[0]) as reference:
            then = distributions(reference, rows)
        return distributions(self.policy, told(rows, rows.word)), then, rows.completion_ids[rows.mask > 0]
