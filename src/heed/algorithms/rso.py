"""RSO's hinge: SLiC's margin on DPO's score (Liu et al. 2024, "Statistical rejection sampling", hinge-norm)."""

from dataclasses import dataclass

from heed.algorithms.dpo import compared, implicit_rewards
from heed.equations.loss import Loss
from heed.equations.preference import all_pairs
from heed.experience import Ranked


@dataclass(frozen=True)
class RSO:
    """The paper's gamma is beta."""

    beta: float = 0.1  # how strongly to stay near the reference

    def loss(self, policy, batch: Ranked) -> Loss:
        """As for DPO."""
        scores, logprobs = implicit_rewards(policy, batch, self.beta)
        return compared(all_pairs(lambda d: (1 - d).relu(), scores, batch.ranks).loss, scores, logprobs, batch)
