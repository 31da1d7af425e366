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
    ref_logprobs: Tensor | None = None  # of the same actions, by the reference policy
    finished: Tensor | None = None  # [batch], 1 where the row came to its own end and was not cut off

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
class Whole(Experience):
    """Experience of which each row counts as one, however many actions it has."""

    @property
    def count(self) -> Tensor:
        """How many rows there are."""
        return torch.tensor(float(len(self)))


@dataclass(frozen=True)
class Ranked:
    """What people judged: groups of candidates with the ranks they were given.

    `candidates` (it has `select(index)`) holds the real candidates of all groups, group after group; `ranks` [groups, K]
    is 1 for the best, equal for ties, and 0 in the slots a smaller group does not use (its last ones).
    """

    candidates: Any
    ranks: Tensor
    margin: Tensor | None = None  # [groups]
    ref_logprobs: Tensor | None = None  # [candidates], of each whole candidate by the reference policy

    def __len__(self) -> int:
        return len(self.ranks)

    @property
    def count(self) -> Tensor:
        """How many groups there are."""
        return torch.tensor(float(len(self)))

    def by_group(self, scores: Tensor) -> Tensor:
        """One score a candidate -> [groups, K], 0 in unused slots."""
        return torch.zeros(self.ranks.shape, dtype=scores.dtype).masked_scatter(self.ranks > 0, scores)

    def pairs(self) -> "Ranked":
        """Every two candidates of which one was preferred as a group of their own, as if they had been asked alone."""
        rows, margins = [], []
        sizes = (self.ranks > 0).sum(1)
        for group, (start, ranks) in enumerate(zip((sizes.cumsum(0) - sizes).tolist(), self.ranks.tolist(), strict=True)):
            for better, a in enumerate(ranks):
                for worse, b in enumerate(ranks):
                    if 0 < a < b:
                        rows += [start + better, start + worse]
                        margins.append(group)
        index, of = torch.tensor(rows, dtype=torch.long), torch.tensor(margins, dtype=torch.long)
        return Ranked(self.candidates.select(index), torch.tensor([[1, 2]]).expand(len(of), 2),
                      None if self.margin is None else self.margin[of],
                      None if self.ref_logprobs is None else self.ref_logprobs[index])

    def select(self, index: Tensor) -> "Ranked":
        """The groups `index`, with their candidates."""
        rows = self.rows_of(index)
        margin = None if self.margin is None else self.margin[index]
        ref_logprobs = None if self.ref_logprobs is None else self.ref_logprobs[rows]
        return Ranked(self.candidates.select(rows), self.ranks[index], margin, ref_logprobs)

    def rows_of(self, index: Tensor) -> Tensor:
        """Where the candidates of the groups `index` stand among all candidates."""
        sizes = (self.ranks > 0).sum(1)
        starts = sizes.cumsum(0) - sizes
        return torch.cat([torch.arange(int(starts[i]), int(starts[i] + sizes[i])) for i in index.tolist()])


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


@dataclass(frozen=True)
class Labelled:
    """What was found good or bad by itself, and beside each the same prompt with another one's answer (KTO).

    `candidates` and `mismatched` have `select(index)`; the rest is [N].
    """

    candidates: Any
    desirable: Tensor  # bool
    ref_logprobs: Tensor
    mismatched: Any
    ref_mismatched: Tensor
    kl: Tensor | None = None  # how far the policy has moved, one number for the whole batch, at every row

    def __len__(self) -> int:
        return len(self.desirable)

    @property
    def count(self) -> Tensor:
        """How many labels there are."""
        return torch.tensor(float(len(self)))

    def select(self, index: Tensor) -> "Labelled":
        """The rows `index`."""
        return Labelled(*(None if x is None else x[index] if isinstance(x, Tensor) else x.select(index)
                          for x in vars(self).values()))
