"""TRPO: the largest step that a bound on the KL allows (Schulman et al. 2015, equation 14 and appendix C).

Its direction solves F x = g by conjugate gradients, F being the Fisher matrix, known only by its products; its length is
shrunk until the surrogate has risen and the KL stayed within its bound.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from heed.equations.advantage import gae, whiten
from heed.equations.divergence import k3
from heed.equations.loss import Loss, summed
from heed.experience import Experience
from heed.training.learner import Learner, Part


@dataclass(frozen=True)
class TRPO:
    """Names as in stable-baselines3, gamma and lambda as in Christiano et al. 2017."""

    target_kl: float = 0.01  # the bound on the mean KL of a step, in nats
    cg_max_steps: int = 15  # of conjugate gradients
    cg_damping: float = 0.1  # added to the Fisher matrix's diagonal
    line_search_max_iter: int = 10  # lengths tried before the step is given up, each 0.8 of the last
    entropy_coef: float = 0.0  # bonus for entropy (Christiano et al. 2017: 0.01)
    gamma: float = 0.995  # discount
    lam: float = 0.97  # GAE's lambda
    num_critic_epochs: int = 5  # passes of the value's steps over each rollout
    num_mini_batches: int = 8  # value steps a pass

    def credit(self, e: Experience) -> Experience:
        """Advantages with mean 0 and variance 1, and the returns that the critic is to learn."""
        advantages = gae(e.rewards, e.values, e.dones, e.last_value, self.gamma, self.lam, e.mask)
        return replace(e, advantages=whiten(advantages, e.mask), returns=advantages + e.values)

    def loss(self, policy, b: Experience) -> Loss:
        """Minus the surrogate r A of equation 14 and the entropy bonus, over actions."""
        now = policy(b.inputs, entropy=self.entropy_coef > 0)
        surrogate = ((now.logprobs - b.logprobs) * b.mask).exp() * b.advantages
        if now.entropy is not None:
            surrogate = surrogate + self.entropy_coef * now.entropy
        return summed(-surrogate, b.mask)

    def value_loss(self, policy, b: Experience) -> Loss:
        """Half the squared error of the critic."""
        return summed(0.5 * (policy(b.inputs).values - b.returns) ** 2, b.mask)

    def update(self, learner: Learner, e: Experience, *, lr: float) -> dict[str, float]:
        """One step of the policy, then the critic's epochs at learning rate `lr`."""
        moved = self._step(learner.model, e)
        steps = [learner.step(Part(b, self.value_loss), lr=lr) for _ in range(self.num_critic_epochs)
                 for b in e.minibatches(min(self.num_mini_batches, len(e)))]
        return moved | {"loss/value_avg": sum(s["loss"] for s in steps) / max(1, len(steps))}

    def _step(self, policy, e: Experience) -> dict[str, float]:
        theta, count = _actor(policy, e), e.count

        def objective() -> Tensor:
            return -self.loss(policy, e).total / count

        def kl() -> Tensor:
            return summed(k3(e.logprobs, policy(e.inputs).logprobs), e.mask).total / count

        with torch.enable_grad():
            start = objective()
            slope = _flat(torch.autograd.grad(start, theta))
            tangent = _flat(torch.autograd.grad(kl(), theta, create_graph=True))

        def fisher(v: Tensor) -> Tensor:
            return _flat(torch.autograd.grad(tangent @ v, theta, retain_graph=True)).detach() + self.cg_damping * v

        direction = conjugate_gradient(fisher, slope, self.cg_max_steps)
        step = direction * (2 * self.target_kl / (direction @ fisher(direction)).clamp(min=1e-12)).sqrt()
        with torch.no_grad():
            old = [p.clone() for p in theta]
            for tries in range(self.line_search_max_iter):
                _put(theta, old, 0.8**tries * step)
                gain, distance = float(objective() - start), float(kl())
                if gain > 0 and distance <= self.target_kl:
                    break
            else:
                _put(theta, old, torch.zeros_like(step))
                gain, distance, tries = 0.0, 0.0, self.line_search_max_iter
        return {"policy/surrogate_gain": gain, "policy/approxkl_avg": distance, "policy/line_search": float(tries)}


def conjugate_gradient(product: Callable[[Tensor], Tensor], b: Tensor, steps: int, tolerance: float = 1e-10) -> Tensor:
    """x with A x = b, [n], from products A v alone (Hestenes & Stiefel 1952); A symmetric and positive."""
    x, residual = torch.zeros_like(b), b.clone()
    along, size = residual.clone(), b @ b
    for _ in range(steps):
        if size < tolerance:
            break
        image = product(along)
        length = size / (along @ image).clamp(min=1e-12)
        x, residual = x + length * along, residual - length * image
        new = residual @ residual
        along, size = residual + new / size * along, new
    return x


def _actor(policy, e: Experience) -> list[Tensor]:
    """The parameters that decide what is done: those the policy names, else those its log-probabilities depend on."""
    if hasattr(policy, "actor_parameters"):
        return list(policy.actor_parameters())
    theta = [p for p in policy.parameters() if p.requires_grad]
    used = torch.autograd.grad(policy(e.select(torch.arange(1)).inputs).logprobs.sum(), theta, allow_unused=True)
    return [p for p, g in zip(theta, used, strict=True) if g is not None]


def _flat(gradients) -> Tensor:
    return torch.cat([g.reshape(-1) for g in gradients])


def _put(theta: list[Tensor], old: list[Tensor], step: Tensor) -> None:
    parts = step.split([p.numel() for p in theta])
    for p, before, part in zip(theta, old, parts, strict=True):
        p.copy_(before + part.view_as(p))
