"""Rating models: learn a score from absolute ratings, such as stars or thumbs, one answer at a time.

Two readings of a rating: ordered levels, of which only the order counts (McCullagh 1980; two levels are logistic
regression, the sentiment reward of Ziegler et al. 2019), or a number to predict (Wang et al. 2024, HelpSteer2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import torch
from torch import Tensor

from heed.equations.loss import Loss, summed
from heed.equations.rating import ordinal, regression
from heed.errors import UserError


@dataclass(frozen=True)
class Ordinal:
    """Ratings as levels.  The cuts between them are where they leave a score of 0 the shares seen in training."""

    levels: tuple[float, ...]  # ratings that occur, ascending
    cuts: tuple[float, ...]  # log-odds of a rating at or below each level but the last

    @classmethod
    def of(cls, ratings: Sequence[float]) -> "Ordinal":
        """The levels and cuts of training `ratings`; UserError where they are all the same."""
        levels = _several(ratings)
        shares = [sum(r <= level for r in ratings) / len(ratings) for level in levels[:-1]]
        return cls(tuple(levels), tuple(math.log(p / (1 - p)) for p in shares))

    def targets(self, ratings: Sequence[float]) -> Tensor:
        """[N] the level nearest to each rating, from 0."""
        return torch.tensor([min(range(len(self.levels)), key=lambda k: abs(self.levels[k] - r)) for r in ratings])

    def loss(self, model, batch) -> Loss:
        """`model.score(batch.candidates)` is one number a candidate; `batch.given` holds targets."""
        score = model.score(batch.candidates)
        right = self.high(score) == self.high_target(batch.given)
        return summed(ordinal(score, batch.given, torch.tensor(self.cuts)), accuracy=right.to(score.dtype))

    def high(self, score: Tensor) -> Tensor:
        """Whether a score lies above the cut that divides the training ratings most evenly."""
        return score > self.cuts[self._middle]

    def high_target(self, target: Tensor) -> Tensor:
        """Whether a rating lies above that cut."""
        return target > self._middle

    @property
    def _middle(self) -> int:
        return min(range(len(self.cuts)), key=lambda k: abs(self.cuts[k]))


@dataclass(frozen=True)
class Regression:
    """Ratings as numbers, in standard deviations from the mean of training."""

    mean: float
    scale: float

    @classmethod
    def of(cls, ratings: Sequence[float]) -> "Regression":
        """The mean and standard deviation of training `ratings`; UserError where they are all the same."""
        _several(ratings)
        return cls(fmean(ratings), pstdev(ratings))

    def targets(self, ratings: Sequence[float]) -> Tensor:
        """[N] standardised ratings."""
        return torch.tensor([(r - self.mean) / self.scale for r in ratings])

    def loss(self, model, batch) -> Loss:
        """As for Ordinal."""
        score = model.score(batch.candidates)
        right = self.high(score) == self.high_target(batch.given)
        return summed(regression(score, batch.given), accuracy=right.to(score.dtype))

    def high(self, score: Tensor) -> Tensor:
        """Whether a score lies above the mean rating of training."""
        return score > 0

    def high_target(self, target: Tensor) -> Tensor:
        """Whether a rating does."""
        return target > 0


def _several(ratings: Sequence[float]) -> list[float]:
    levels = sorted(set(ratings))
    if len(levels) < 2:
        raise UserError(f"every rating is {levels[0] if levels else 'missing'}: there is nothing to learn from")
    return levels
