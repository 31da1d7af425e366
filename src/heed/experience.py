"""What acting produced: completions or segments, in one shape."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Experience:
    """`inputs` is whatever the policy needs to look again (it has `select(index)`); the rest is [batch, time].

    time counts the tokens of a completion, or the steps of a segment; rows are filled from the left.
    """

    inputs: Any
    logprobs: Tensor  # of the actions taken, by the policy that took them
    values: Tensor  # of the state before each action
    rewards: Tensor
    dones: Tensor
    mask: Tensor  # 1 where an action was ours to choose
    last_value: Tensor  # [batch], value after the final step
    advantages: Tensor | None = None
    returns: Tensor | None = None

    @property
    def count(self) -> Tensor:
        """How many actions there were."""
        return self.mask.sum()

    def __len__(self) -> int:
        return len(self.mask)

    def select(self, index: Tensor) -> "Experience":
        """The rows `index`, cut to the longest of them."""
        time = int(self.mask[index].any(0).nonzero().max()) + 1 if self.mask[index].any() else 1
        picked = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Tensor):
                picked[f.name] = value[index][:, :time] if value.ndim > 1 else value[index]
        return replace(self, inputs=self.inputs.select(index), **picked)

    def minibatches(self, n: int, shuffle: bool = True) -> Iterator["Experience"]:
        """`n` parts of about equal size that cover every row once."""
        order = torch.randperm(len(self)) if shuffle else torch.arange(len(self))
        for index in order.tensor_split(n):
            yield self.select(index)


@dataclass(frozen=True)
class Ranked:
    """What people judged: groups of candidates with the ranks they were given.

    `candidates` (it has `select(index)`) holds the real candidates of all groups, group after group; `ranks` [groups, K]
    is 1 for the best, equal for ties, and 0 in the slots a smaller group does not use (its last ones).
    """

    candidates: Any
    ranks: Tensor
    margin: Tensor | None = None  # [groups]

    def __len__(self) -> int:
        return len(self.ranks)

    @property
    def count(self) -> Tensor:
        """How many groups there are."""
        return torch.tensor(float(len(self)))

    def by_group(self, scores: Tensor) -> Tensor:
        """One score a candidate -> [groups, K], 0 in unused slots."""
        return torch.zeros(self.ranks.shape, dtype=scores.dtype).masked_scatter(self.ranks > 0, scores)

    def select(self, index: Tensor) -> "Ranked":
        """The groups `index`, with their candidates."""
        sizes = (self.ranks > 0).sum(1)
        starts = sizes.cumsum(0) - sizes
        rows = torch.cat([torch.arange(int(starts[i]), int(starts[i] + sizes[i])) for i in index.tolist()])
        return Ranked(self.candidates.select(rows), self.ranks[index], None if self.margin is None else self.margin[index])


@dataclass(frozen=True)
class Rated:
    """What people scored by itself: `candidates` (it has `select(index)`) and what each was given, [N]."""

    candidates: Any
    given: Tensor

    def __len__(self) -> int:
        return len(self.given)

    @property
    def count(self) -> Tensor:
        """How many ratings there are."""
        return torch.tensor(float(len(self)))

    def select(self, index: Tensor) -> "Rated":
        """The ratings `index`, with their candidates."""
        return Rated(self.candidates.select(index), self.given[index])
