"""Acting: n copies for T steps, kept as what was seen, done and paid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heed.control.environments import Batch
from heed.control.policy import Actor, Normaliser
from heed.control.segments import Segments


@dataclass(frozen=True)
class Rollout:
    """n copies, T steps each; an episode may end inside a row."""

    obs: NDArray[np.float32]  # [n, T, do] as the environment gave them
    sampled: NDArray  # [n, T, da] (or [n, T]) actions as the policy sampled them
    actions: NDArray[np.float32]  # [n, T, da] as they took effect: cut to -1..1, one-hot where discrete
    states: NDArray[np.float64]  # [n, T, ds]
    rewards: NDArray[np.float64]  # [n, T] true
    terminated: NDArray[np.bool_]  # [n, T]
    truncated: NDArray[np.bool_]  # [n, T]
    final: dict[tuple[int, int], NDArray[np.float32]]  # what was seen last where an episode was truncated
    after: NDArray[np.float32]  # [n, do] what is seen behind the last step

    @property
    def ends(self) -> NDArray[np.bool_]:
        """[n, T] where an episode is over."""
        return self.terminated | self.truncated


def effective(actions: NDArray, env: Batch) -> NDArray[np.float32]:
    """Actions as they take effect, and as people see them."""
    if env.discrete:
        return np.eye(env.action_size, dtype=np.float32)[actions]
    return actions.clip(-1, 1).astype(np.float32)


def act(env: Batch, obs: NDArray[np.float32], actor: Actor, normaliser: Normaliser, steps: int,
        random: np.random.Generator | None) -> Rollout:
    """Go on from `obs` for `steps` steps; without `random` the most likely action is taken."""
    seen = np.empty((steps, env.n, env.obs_size), np.float32)
    rewards, terminated = np.empty((steps, env.n)), np.empty((steps, env.n), bool)
    truncated, states, sampled, final = np.empty((steps, env.n), bool), [], [], {}
    for t in range(steps):
        seen[t] = obs
        states.append(env.states())
        action = actor.act(normaliser(obs), random)
        sampled.append(action)
        obs, rewards[t], terminated[t], truncated[t], last = env.step(action)
        for i in np.flatnonzero(truncated[t]):
            final[int(i), t] = last[i]
    done = np.stack(sampled, 1)
    return Rollout(seen.swapaxes(0, 1), done, effective(done, env), np.stack(states, 1), rewards.T, terminated.T,
                   truncated.T, final, obs)


def cut(rollout: Rollout, env: Batch, length: int, name: str) -> Segments:
    """Segments of `length` steps, none across the end of an episode, laid end to end from each episode's beginning."""
    found = []
    for i, row in enumerate(rollout.ends):
        start = 0
        for end in [*(np.flatnonzero(row) + 1), len(row)]:
            found += [(i, t) for t in range(start, end - length + 1, length)]
            start = end
    parts = {name: np.stack([getattr(rollout, name)[i, t : t + length] for i, t in found]) if found else
             np.zeros((0, length, *getattr(rollout, name).shape[2:]), getattr(rollout, name).dtype)
             for name in ("obs", "actions", "states", "rewards")}
    return Segments([f"{name}-{i}-{t}" for i, t in found], env.id, **parts)


def evaluate(env: Batch, actor: Actor, normaliser: Normaliser) -> NDArray[np.float64]:
    """True return of one whole episode in every copy, acting without chance: [n]."""
    obs, total, alive = env.begin(), np.zeros(env.n), np.ones(env.n, bool)
    for _ in range(env.horizon):
        obs, rewards, terminated, truncated, _ = env.step(actor.act(normaliser(obs), None))
        total += rewards * alive
        alive &= ~(terminated | truncated)
        if not alive.any():
            break
    return total
