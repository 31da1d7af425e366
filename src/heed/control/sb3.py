"""Agents of stable-baselines3, any of its algorithms, trained on a learned reward.

They learn while they act, so the reward is predicted step by step; what lies in a replay buffer is relabelled whenever the
predictor has changed (Lee et al. 2021, PEBBLE).  Their state cannot be kept without pickles, which heed does not read, so
such a run starts again rather than going on.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from heed.control.environments import Batch
from heed.control.policy import Normaliser
from heed.control.rollout import Rollout, effective
from heed.errors import UserError, nearest

Judge = Callable[[NDArray, NDArray], NDArray]  # obs [n, do], actions [n, da] -> rewards [n]


class Borrowed:
    """One algorithm of stable-baselines3 with the methods of heed's own agents."""

    resumable = False

    def __init__(self, env: Batch, name: str, steps: int, *, learned: bool, seed: int, learning_rate: float):
        try:
            import stable_baselines3
        except ModuleNotFoundError:
            raise UserError(f"agent = 'sb3:{name}' needs the package 'stable-baselines3': pip install 'heed[sb3]'") from None
        names = [n for n in dir(stable_baselines3) if n.isupper() and n not in ("HER",)]
        if name not in names:
            raise UserError(f"agent = 'sb3:{name}'{nearest(name, names)}")
        if env.discrete and name in ("SAC", "TD3", "DDPG"):
            raise UserError(f"agent = 'sb3:{name}' takes continuous actions and env = {env.id!r} has discrete ones: "
                            "expected sb3:DQN, sb3:PPO or sb3:A2C")
        self.env, self.steps, self.normaliser = env, steps, Normaliser(env.obs_size)
        self.world = _world(env)
        self.judge: Judge | None = None  # what steps are worth, once there is a predictor
        if learned:
            self.world.judge = lambda obs, actions: np.zeros(len(obs)) if self.judge is None else self.judge(obs, actions)
        kind, more = getattr(stable_baselines3, name), {}
        if name in ("PPO", "A2C"):
            more["n_steps"] = steps if name == "PPO" else 5
        self.model = kind("MlpPolicy", self.world, seed=seed % 2**31, learning_rate=learning_rate, device="cpu", **more)

    def act(self, random: np.random.Generator) -> Rollout:
        """`steps` steps of every copy, learning on the way from what the judge says of each."""
        self.world.record()
        self.model.learn(self.steps * self.env.n, reset_num_timesteps=False)
        return self.world.rollout()

    def see(self, rollout: Rollout) -> None:
        """Only take in what was observed."""
        self.normaliser.update(rollout.obs)

    def learn(self, rollout: Rollout, rewards: NDArray, lr: float) -> dict[str, float]:
        """It has learnt already; its memory is told what it is worth by now."""
        self.relabel()
        self.see(rollout)
        return {}

    def relabel(self) -> None:
        """Put the judge's present opinion into the replay buffer."""
        buffer = getattr(self.model, "replay_buffer", None)
        if buffer is None or self.judge is None:
            return
        n = buffer.buffer_size if buffer.full else buffer.pos
        obs, actions = buffer.observations[:n], buffer.actions[:n]
        shown = effective(actions[..., 0].astype(int) if self.env.discrete else actions, self.env)
        flat = self.judge(obs.reshape(-1, obs.shape[-1]), shown.reshape(-1, shown.shape[-1]))
        buffer.rewards[:n] = flat.reshape(n, -1)

    def evaluate(self, env: Batch) -> NDArray[np.float64]:
        """True return of one whole episode in every copy of `env`, acting without chance."""
        obs, total, alive = env.begin(), np.zeros(env.n), np.ones(env.n, bool)
        for _ in range(env.horizon):
            obs, rewards, terminated, truncated, _ = env.step(self.model.predict(obs, deterministic=True)[0])
            total += rewards * alive
            alive &= ~(terminated | truncated)
        return total

    def state(self) -> dict:
        """Nothing: see the module."""
        return {}

    def restore(self, tensors: dict) -> None:
        """Nothing to take up."""


class _Alike:
    """What stable-baselines3 asks of copies that are all the same."""

    def close(self):
        """Nothing is open."""

    def get_attr(self, name, indices=None):
        """The same for every copy."""
        return [getattr(self, name, None)] * self.num_envs

    def set_attr(self, name, value, indices=None):
        """Nothing can be set."""

    def env_method(self, name, *args, indices=None, **kwargs):
        """There is none."""
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper, indices=None):
        """Never."""
        return [False] * self.num_envs


def _world(env: Batch):
    """`env` as a vector environment of stable-baselines3 that pays what its `judge` says and keeps what really happened."""
    from gymnasium import spaces
    from stable_baselines3.common.vec_env import VecEnv

    class World(_Alike, VecEnv):
        judge: Judge | None = None  # None pays the true reward

        def __init__(self):
            action = spaces.Discrete(env.action_size) if env.discrete else spaces.Box(-1, 1, (env.action_size,), np.float32)
            super().__init__(env.n, spaces.Box(-np.inf, np.inf, (env.obs_size,), np.float32), action)
            self.obs = env.begin(staggered=True)
            self.record()

        def record(self):
            """Begin a new rollout."""
            self.kept, self.final = [], {}

        def rollout(self) -> Rollout:
            """What happened since `record`."""
            obs, sampled, states, rewards, terminated, truncated = (np.stack(x, 1) for x in zip(*self.kept, strict=True))
            return Rollout(obs, sampled, effective(sampled, env), states, rewards, terminated, truncated, self.final, self.obs)

        def reset(self):
            """Where the copies stand: they are never begun anew in the middle of an episode."""
            return self.obs

        def step_async(self, actions):
            """Kept for step_wait."""
            self.actions = actions

        def step_wait(self):
            """Move; the reward is the judge's, the true one is only kept."""
            seen, states = self.obs, env.states()
            moved = env.step(self.actions)
            paid = self.judge(seen, effective(self.actions, env)) if self.judge else moved.rewards
            for i in np.flatnonzero(moved.truncated):
                self.final[int(i), len(self.kept)] = moved.final[i]
            self.kept.append((seen, self.actions, states, moved.rewards, moved.terminated, moved.truncated))
            self.obs, ends = moved.obs, moved.terminated | moved.truncated
            infos: list[dict] = [{} for _ in range(env.n)]
            for i in np.flatnonzero(ends):
                infos[i] = {"terminal_observation": moved.final[i], "TimeLimit.truncated": bool(moved.truncated[i])}
            return moved.obs, paid.astype(np.float32), ends, infos

    return World()
