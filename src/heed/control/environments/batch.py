"""What every environment of this world offers: n copies that move together, with nothing hidden.

Everything needed to go on is in arrays (`keep`, `restore`), and an episode's beginning is a function of (seed, copy,
episode), so that a run that was killed goes on exactly.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heed.errors import RunError
from heed.training.schedule import seed_of

Arrays = dict[str, NDArray]


class Moved(NamedTuple):
    """One step of all copies.  Where an episode is over, `obs` already belongs to the next one."""

    obs: NDArray[np.float32]  # [n, do] to act on next
    rewards: NDArray[np.float64]  # [n] true
    terminated: NDArray[np.bool_]  # [n] the episode ended by itself: nothing follows
    truncated: NDArray[np.bool_]  # [n] the horizon was reached
    final: NDArray[np.float32]  # [n, do] what was seen last, before any new beginning


class Batch:
    """`n` copies of one environment.  Actions are [n, da] in -1..1, or [n] integers below `action_size` where discrete."""

    id: str
    horizon: int  # steps of an episode
    clip: int  # steps of a segment that shows 1.5 seconds
    obs_size: int
    action_size: int
    discrete = False

    def __init__(self, n: int, seed: int):
        self.n, self.seed = n, seed
        self.t = np.zeros(n, np.int64)  # steps into the episode
        self.episode = np.zeros(n, np.int64)
        self.begun = np.zeros(n, np.int64)  # t at the beginning of the episode

    def begin(self, *, staggered: bool = False) -> NDArray[np.float32]:
        """The first observation of a first episode in every copy.

        Staggered, the copies' clocks are spread over the horizon, so that what is learnt from at one time comes from all
        parts of an episode; the first episodes are then shorter.
        """
        self.episode[:] = 0
        self.t[:] = self.begun[:] = np.arange(self.n) * self.horizon // self.n if staggered else 0
        self._start(range(self.n))
        return self._see()

    def step(self, actions: NDArray) -> Moved:
        """Move every copy by one step; RunError where an observation or reward is not a number."""
        rewards, terminated = self._advance(actions)
        obs = self._see()
        if not np.isfinite(obs).all() or not np.isfinite(rewards).all():
            i = int(np.flatnonzero(~(np.isfinite(obs).all(1) & np.isfinite(rewards)))[0])
            raise RunError(f"{self.id} gave an observation or reward that is not a number, in copy {i}, step {self.t[i]} of "
                           f"episode {self.episode[i]}: its simulation has blown up; the last checkpoint is kept")
        self.t += 1
        truncated = (self.t >= self.horizon) & ~terminated
        over, final = np.flatnonzero(terminated | truncated), obs
        if len(over):
            self.episode[over] += 1
            self.t[over] = self.begun[over] = 0
            self._start(over)
            obs = self._see()
        return Moved(obs, rewards, terminated, truncated, final)

    def states(self) -> NDArray[np.float64]:
        """[n, ds]: what it takes to draw the scene."""
        raise NotImplementedError

    def keep(self) -> Arrays:
        """All that `restore` needs."""
        return {"t": self.t.copy(), "begun": self.begun.copy(), "episode": self.episode.copy(), **self._keep()}

    def restore(self, kept: Arrays) -> NDArray[np.float32]:
        """Go on from what `keep` gave; the observation to act on."""
        self.t, self.begun, self.episode = (kept[name].copy() for name in ("t", "begun", "episode"))
        self._restore(kept)
        return self._see()

    def random(self, copy: int) -> np.random.Generator:
        """The chances of the current episode's beginning in `copy`."""
        return np.random.default_rng(seed_of("episode", self.seed, int(copy), int(self.episode[copy])))

    def _start(self, copies) -> None:
        raise NotImplementedError

    def _advance(self, actions: NDArray) -> tuple[NDArray, NDArray]:
        """(true rewards, terminated), both [n]."""
        raise NotImplementedError

    def _see(self) -> NDArray[np.float32]:
        raise NotImplementedError

    def _keep(self) -> Arrays:
        raise NotImplementedError

    def _restore(self, kept: Arrays) -> None:
        raise NotImplementedError
