"""Any Gymnasium environment with a vector of observations.

Its state is hidden from us, so what `keep` saves is how it came about: the actions since the episode began, which are
taken again.  That needs an environment whose steps depend on its seed and the actions alone.
"""

import numpy as np
from numpy.typing import NDArray

from heed.control.environments.batch import Arrays, Batch
from heed.errors import UserError, nearest
from heed.training.schedule import seed_of


class Gymnasium(Batch):
    """`n` environments stepped one after the other; continuous actions are scaled from -1..1 to the action space."""

    def __init__(self, name: str, n: int, seed: int):
        import gymnasium

        super().__init__(n, seed)
        self.id = name
        try:
            self.envs = [gymnasium.make(name) for _ in range(n)]
        except gymnasium.error.UnregisteredEnv:
            raise UserError(f"env = {name!r} is no environment{nearest(name, gymnasium.registry)}") from None
        except (gymnasium.error.Error, ImportError) as error:
            raise UserError(f"env = {name!r} cannot be made: {error}") from None
        one = self.envs[0]
        self._spaces(one.observation_space, one.action_space)
        if one.spec is None or one.spec.max_episode_steps is None:
            raise UserError(f"env = {name!r} sets no max_episode_steps: expected an environment whose episodes are bounded")
        self.horizon = one.spec.max_episode_steps
        self.clip = max(1, min(self.horizon, round(1.5 * one.metadata.get("render_fps", 20))))
        self.obs = np.zeros((n, self.obs_size), np.float32)
        self.done_so_far = np.zeros((n, self.horizon, 1 if self.discrete else self.action_size), np.float32)

    def _spaces(self, seen, acted) -> None:
        from gymnasium.spaces import Box, Discrete

        if not isinstance(seen, Box) or len(seen.shape) != 1:
            images = isinstance(seen, Box) and len(seen.shape) > 1
            what = f"images of shape {seen.shape}" if images else f"a {type(seen).__name__}"
            raise UserError(f"env = {self.id!r} shows {what}: expected a vector of numbers (a Box of one dimension)")
        if isinstance(acted, Discrete):
            self.discrete, self.action_size, self.first = True, int(acted.n), int(acted.start)
        elif isinstance(acted, Box) and len(acted.shape) == 1 and acted.is_bounded():
            self.action_size, self.low, self.high = acted.shape[0], acted.low, acted.high
        else:
            raise UserError(f"env = {self.id!r} takes actions in {acted}: expected Discrete, or a bounded Box of one dimension")
        self.obs_size = seen.shape[0]

    def states(self) -> NDArray[np.float64]:
        """MuJoCo's qpos then qvel; the `state` of classic control; else the observation."""
        rows = []
        for i, env in enumerate(self.envs):
            inner = env.unwrapped
            if hasattr(inner, "data") and hasattr(inner.data, "qpos"):
                rows.append(np.concatenate([inner.data.qpos, inner.data.qvel]))
            else:
                state = getattr(inner, "state", None)
                rows.append(self.obs[i] if state is None else np.asarray(state, np.float64).ravel())
        return np.stack(rows).astype(np.float64)

    def _start(self, copies) -> None:
        for i in copies:
            self.obs[i] = self.envs[i].reset(seed=seed_of("episode", self.seed, int(i), int(self.episode[i])) % 2**31)[0]

    def _advance(self, actions: NDArray) -> tuple[NDArray, NDArray]:
        rewards, terminated = np.zeros(self.n), np.zeros(self.n, bool)
        for i in range(self.n):
            taken = self.done_so_far[i, self.t[i]]
            taken[:] = actions[i]
            rewards[i], terminated[i] = self._one(i, taken)
        return rewards, terminated

    def _one(self, i: int, action) -> tuple[float, bool]:
        if self.discrete:
            applied = int(np.asarray(action).item()) + self.first
        else:
            applied = (self.low + (np.clip(action, -1, 1) + 1) * 0.5 * (self.high - self.low)).astype(self.low.dtype)
        self.obs[i], reward, terminated, _, _ = self.envs[i].step(applied)
        return float(reward), bool(terminated)

    def _see(self) -> NDArray[np.float32]:
        return self.obs.copy()

    def _keep(self) -> Arrays:
        return {"actions": self.done_so_far[:, : int(self.t.max(initial=0))].copy()}

    def _restore(self, kept: Arrays) -> None:
        self._start(range(self.n))
        for i in range(self.n):
            for t in range(int(self.begun[i]), int(self.t[i])):
                self.done_so_far[i, t] = kept["actions"][i, t]
                self._one(i, kept["actions"][i, t])
