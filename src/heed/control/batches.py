"""Behaviour as the shared algorithms take it: what a policy looks at again, and what a reward predictor compares."""

from dataclasses import dataclass, fields, replace

from torch import Tensor

from heed.experience import Experience


@dataclass(frozen=True)
class Steps:
    """`inputs` of an Experience: [batch, time, do] normalised observations and [batch, time, ...] actions as sampled."""

    obs: Tensor
    actions: Tensor

    def select(self, index: Tensor) -> "Steps":
        """The rows `index`."""
        return Steps(self.obs[index], self.actions[index])


def by_step(e: Experience) -> Experience:
    """Every step a row of its own: a policy without memory draws its minibatches from steps, not from trajectories."""
    flat = {f.name: getattr(e, f.name).reshape(-1, 1) for f in fields(e)
            if isinstance(getattr(e, f.name), Tensor) and getattr(e, f.name).ndim == 2}
    inputs = Steps(e.inputs.obs.flatten(0, 1)[:, None], e.inputs.actions.flatten(0, 1)[:, None])
    return replace(e, inputs=inputs, last_value=e.values.new_zeros(e.values.numel()), **flat)
