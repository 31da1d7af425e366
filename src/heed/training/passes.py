"""Several passes over what was acted, in optimizer steps: what every method does with its own behaviour."""

from collections.abc import Callable
from typing import Any

from heed.equations.loss import Loss
from heed.experience import Experience
from heed.training.learner import Learner, Part


def passes(learner: Learner, e: Experience, loss: Callable[[Any, Any], Loss], *, lr: float, epochs: int = 1,
           mini_batches: int = 1, inputs: bool = False) -> dict[str, float]:
    """`epochs` times `mini_batches` steps; the mean of each figure over them.  `inputs`: the loss reads these alone."""
    return mean_of(steps_of(learner, e, loss, lr=lr, epochs=epochs, mini_batches=mini_batches, inputs=inputs))


def steps_of(learner: Learner, e: Experience, loss: Callable[[Any, Any], Loss], *, lr: float, epochs: int, mini_batches: int,
             inputs: bool = False, beside: Callable[[], list[Part]] = list) -> list[dict[str, float]]:
    """The figures of each step of `passes`; `beside` gives further parts of a step.

    The first pass reads the rows in the order in which they were scored, so that its first ratio is exactly 1.
    """
    return [learner.step(Part(batch.inputs if inputs else batch, loss), *beside(), lr=lr) for epoch in range(epochs)
            for batch in e.minibatches(mini_batches, shuffle=epoch > 0) if float(batch.count)]


def mean_of(steps: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure over the steps."""
    return {name: sum(s[name] for s in steps) / len(steps) for name in steps[0]} if steps else {}
