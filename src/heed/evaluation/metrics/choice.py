"""Multiple choice by log-likelihood, without the two traps of the usual scorers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heed.errors import UserError
from heed.evaluation.estimate import Estimate, same_length, samples, share


@dataclass(frozen=True)
class MultipleChoice:
    """`accuracy` beside two controls on the same items: a model that rates all options alike, and one that knows."""

    accuracy: Estimate
    constant: Estimate
    oracle: Estimate


def multiple_choice(logprobs: Sequence[Sequence[float]], correct: Sequence[int], *, seed: int = 0) -> MultipleChoice:
    """Share of items whose correct option has the highest log-probability; k tied at the top count 1 / k each.

    With arg-max instead, a model whose log-probabilities are all equal, or all NaN, scores 100 % on data that put the
    right option first (TruthfulQA MC1 does).  Here the first gets 1 / k and the second raises RunError.
    """
    same_length(logprobs=logprobs, correct=correct)
    rows = samples(logprobs, "logprobs")
    for i, (row, answer) in enumerate(zip(rows, correct, strict=True)):
        if not 0 <= answer < len(row):
            raise UserError(f"correct[{i}] is {answer}, expected an option from 0 to {len(row) - 1}")

    def scored(values: list[np.ndarray]) -> Estimate:
        right = [(v[c] == v.max()) / np.sum(v == v.max()) for v, c in zip(values, correct, strict=True)]
        return share(np.stack([right, np.ones(len(right))], axis=1), seed=seed)

    oracle = [(np.arange(len(row)) == answer).astype(float) for row, answer in zip(rows, correct, strict=True)]
    return MultipleChoice(scored(rows), scored([np.zeros(len(row)) for row in rows]), scored(oracle))
