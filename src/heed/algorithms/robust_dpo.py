"""Robust DPO: DPO's loss without the bias that flipped answers give it (Chowdhury et al. 2024, section 3).

Conservative DPO (`label_smoothing` of dpo.py) aims lower because some answers are wrong; this one takes off, in expectation,
what the wrong ones add, so that its best policy is the one that clean answers would have given.
"""

from dataclasses import dataclass

from torch.nn.functional import logsigmoid

from heed.algorithms.dpo import compared, implicit_rewards
from heed.equations.loss import Loss
from heed.equations.preference import all_pairs
from heed.experience import Ranked


@dataclass(frozen=True)
class RobustDPO:
    """Names as in TRL; the paper's epsilon is label_smoothing."""

    beta: float = 0.1  # how strongly to stay near the reference
    label_smoothing: float = 0.1  # the share of answers that are flipped, below one half

    def loss(self, policy, batch: Ranked) -> Loss:
        """As for DPO."""
        (scores, logprobs), flipped = implicit_rewards(policy, batch, self.beta), self.label_smoothing

        def unbiased(d):
            return (flipped * logsigmoid(-d) - (1 - flipped) * logsigmoid(d)) / (1 - 2 * flipped)

        return compared(all_pairs(unbiased, scores, batch.ranks).loss, scores, logprobs, batch)
