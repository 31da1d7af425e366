"""Who says which of two segments is better.  A person takes hours, so asking and answering are two calls.

The synthetic teachers are those of B-Pref (Lee et al. 2021, equation 3 and section 4.1): they see the true reward and err
as people do.  Each answer is a function of (seed, query), so that a run that was killed hears the same again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from heed.control.segments import Query, Segment
from heed.training.schedule import seed_of

Answer = tuple[str, float | list[float] | None]  # query id; 1 left, 0 right, 0.5 a tie, None "can't tell"; or two scores


class Teacher(Protocol):
    """`wait` for answers or go on without them is the trainer's choice, not the teacher's."""

    def ask(self, queries: Sequence[Query]) -> None:
        """Put questions; one that was put before is left as it is."""

    def answers(self) -> list[Answer]:
        """All answers given so far that this process has not been told; telling one twice does no harm."""


@dataclass(frozen=True)
class Manner:
    """How a synthetic teacher answers; the defaults are a perfect one."""

    beta: float = float("inf")  # sharpness: P(left) = sigmoid(beta (return left - return right)); infinite is the better one
    gamma: float = 1.0  # below 1 the teacher forgets the beginning: step t of T counts gamma^(T - 1 - t)
    mistake: float = 0.0  # share of answers flipped
    skip: float = 0.0  # no answer where neither return reaches this share of the usual size of a return
    equal: float = 0.0  # a tie where the returns differ by less than this share of it


MANNERS = {
    "oracle": Manner(),
    "boltzmann": Manner(beta=1.0),
    "myopic": Manner(gamma=0.9),
    "mistake": Manner(mistake=0.1),
    "skip": Manner(skip=0.1),
    "equal": Manner(equal=0.1),
}


@dataclass
class Synthetic:
    """Answers at once, from the true reward (or from `judge`, a number for a segment)."""

    manner: Manner = Manner()
    seed: int = 0
    judge: Callable[[Segment], float] | None = None
    scores: bool = False  # say what each of the two is worth, and not which is better
    waiting: list[Answer] = field(default_factory=list)

    def ask(self, queries: Sequence[Query]) -> None:
        """Answer them, to be collected."""
        if self.scores:
            self.waiting += [(q.id, [self._value(q.left), self._value(q.right)]) for q in queries]
            return
        returns = [abs(self._value(s)) for q in queries for s in (q.left, q.right)]
        usual = float(np.mean(returns)) if returns else 0.0
        self.waiting += [(q.id, self.prefer(q, usual)) for q in queries]

    def answers(self) -> list[Answer]:
        """Those not collected yet."""
        found, self.waiting = self.waiting, []
        return found

    def prefer(self, query: Query, usual: float = 0.0) -> float | None:
        """1 left, 0 right, 0.5 a tie, None no answer; `usual` is the mean absolute return of the segments asked about.

        Both thresholds are multiplied by it once; B-Pref's code does so again at every session, which soon makes an
        oracle of either teacher.
        """
        m, random = self.manner, np.random.default_rng(seed_of("teacher", self.seed, query.id))
        left, right = self._value(query.left), self._value(query.right)
        if m.skip and max(left, right) < m.skip * usual:
            return None
        if left == right or abs(left - right) < m.equal * usual:
            return 0.5
        chance = float(left > right) if np.isinf(m.beta) else 1 / (1 + np.exp(-np.clip(m.beta * (left - right), -500, 500)))
        prefers_left = random.uniform() < chance
        return float(prefers_left != (random.uniform() < m.mistake))

    def _value(self, segment: Segment) -> float:
        if self.judge is not None:
            return self.judge(segment)
        weights = self.manner.gamma ** np.arange(len(segment) - 1, -1, -1)
        return float((weights * segment.rewards).sum())
