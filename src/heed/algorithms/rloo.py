"""RLOO: REINFORCE on whole completions, each judged against its siblings (Ahmadian et al. 2024, equation 8; Kool et al. 2019).

One action is one completion.  Written with PPO's ratio, whose gradient at 1 is REINFORCE's, so that more than one pass over
a rollout is possible; in the first pass nothing is clipped.
"""

from dataclasses import dataclass, replace

from heed.algorithms.ppo import as_one_step, clipped_surrogate
from heed.equations.advantage import leave_one_out
from heed.equations.loss import Loss, summed
from heed.experience import Experience
from heed.training.learner import Learner
from heed.training.passes import passes


@dataclass(frozen=True)
class RLOO:
    """Names and values as in TRL; the paper uses 2 or 4 completions."""

    num_generations: int = 4  # completions of one prompt, side by side in the batch
    epsilon: float = 0.2  # how far the ratio may move from 1 before it stops counting
    num_iterations: int = 1  # passes over each rollout
    num_mini_batches: int = 1  # optimizer steps a pass

    def credit(self, e: Experience) -> Experience:
        """Each completion's reward, its KL penalty included, minus the mean of the others'."""
        one = as_one_step(e)
        return replace(one, advantages=leave_one_out(one.rewards.view(-1, self.num_generations)).view(-1, 1))

    def loss(self, policy, b: Experience) -> Loss:
        """The clipped surrogate over completions; `policy(inputs)` gives [batch, tokens]."""
        ratio = (policy(b.inputs).logprobs.sum(1, keepdim=True) - b.logprobs).exp()
        surrogate, clipped = clipped_surrogate(ratio, b.advantages, self.epsilon)
        return summed(-surrogate, b.mask, **{"policy/clipfrac_avg": clipped, "val/ratio": ratio})

    def update(self, learner: Learner, e: Experience, *, lr: float) -> dict[str, float]:
        """Passes over the rollout."""
        return passes(learner, e, self.loss, lr=lr, epochs=self.num_iterations, mini_batches=self.num_mini_batches)
