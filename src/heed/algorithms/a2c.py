"""A2C: short rollouts, one step each, a critic that says what was to be expected (Mnih et al. 2016, algorithm S3)."""

from dataclasses import dataclass, replace

from heed.equations.advantage import gae
from heed.equations.loss import Loss, summed
from heed.experience import Experience
from heed.training.learner import Learner, Part


@dataclass(frozen=True)
class A2C:
    """Values as in Christiano et al. 2017, appendix A.2, and OpenAI baselines."""

    gamma: float = 0.99  # discount
    lam: float = 1.0  # GAE's lambda; 1 is the n-step return of the paper
    vf_coef: float = 0.5  # weight of the value loss
    entropy_coef: float = 0.01  # bonus for entropy

    def credit(self, e: Experience) -> Experience:
        """R_t = r_t + gamma r_{t+1} + ... + gamma^k V(s_{t+k}), and how far it lay above V(s_t)."""
        advantages = gae(e.rewards, e.values, e.dones, e.last_value, self.gamma, self.lam, e.mask)
        return replace(e, advantages=advantages, returns=advantages + e.values)

    def loss(self, policy, b: Experience) -> Loss:
        """-A log pi + vf_coef (V - R)^2 - entropy_coef H, over actions."""
        now = policy(b.inputs, entropy=self.entropy_coef > 0)
        actor, value = -b.advantages * now.logprobs, (now.values - b.returns) ** 2
        loss = actor + self.vf_coef * value
        if now.entropy is not None:
            loss = loss - self.entropy_coef * now.entropy
        return summed(loss, b.mask, **{"loss/policy_avg": actor, "loss/value_avg": value})

    def update(self, learner: Learner, e: Experience, *, lr: float) -> dict[str, float]:
        """One step on each rollout."""
        return learner.step(Part(e, self.loss), lr=lr)
