"""The eight MuJoCo tasks of Christiano et al. 2017, as edited there so that nothing gives the goal away, and its backflip.

No episode ends early: what ended it in Gymnasium is a penalty here.  No torque penalty: raters cannot see it.  The
penalties are those of rl-teacher, which a co-author published; a segment is 1.5 s of the video at its frame rate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """What a reward may depend on; all [n, ...]."""

    before: Array  # qpos before the step
    qpos: Array
    qvel: Array
    actions: Array  # as applied, in the actuator's units
    dt: float  # seconds of simulated time

    @property
    def speed(self) -> Array:
        """Along x."""
        return (self.qpos[:, 0] - self.before[:, 0]) / self.dt


@dataclass(frozen=True)
class Task:
    """One environment: Gymnasium's model, how it is seen, what it pays, how it begins."""

    xml: str  # among Gymnasium's assets
    frame_skip: int  # simulation steps an action lasts
    fps: int  # of the video shown to people
    horizon: int
    reward: Callable[[Step], Array]
    see: Callable[[Array, Array], Array]  # (qpos, qvel) -> observations
    noise: float  # of the initial position
    normal_velocity: bool = False  # velocities begin normally distributed rather than uniformly
    goal: bool = False  # the last two coordinates are a target on a disc

    @property
    def clip(self) -> int:
        """Steps in 1.5 seconds of video."""
        return round(1.5 * self.fps)


def _without(first: int, bound: float = np.inf) -> Callable[[Array, Array], Array]:
    """Positions from `first` on (where one is does not matter) and velocities."""
    return lambda q, v: np.concatenate([q[:, first:], v.clip(-bound, bound)], 1)


def _reach(q: Array) -> Array:
    """From the fingertip of the Reacher to its target, [n, 2]."""
    a, b = q[:, 0], q[:, 0] + q[:, 1]
    tip = np.stack([0.1 * np.cos(a) + 0.11 * np.cos(b), 0.1 * np.sin(a) + 0.11 * np.sin(b)], 1)
    return tip - q[:, 2:]


def _see_reacher(q: Array, v: Array) -> Array:
    return np.concatenate([np.cos(q[:, :2]), np.sin(q[:, :2]), q[:, 2:], v[:, :2], _reach(q)], 1)


def _see_double_pendulum(q: Array, v: Array) -> Array:
    return np.concatenate([q[:, :1], np.sin(q[:, 1:]), np.cos(q[:, 1:]), v.clip(-10, 10)], 1)


def _double_pendulum(s: Step) -> Array:
    a, b = s.qpos[:, 1], s.qpos[:, 1] + s.qpos[:, 2]
    x, z = s.qpos[:, 0] + 0.6 * (np.sin(a) + np.sin(b)), 0.6 * (np.cos(a) + np.cos(b))
    penalties = 0.01 * x**2 + (z - 2) ** 2 + 1e-3 * s.qvel[:, 1] ** 2 + 5e-3 * s.qvel[:, 2] ** 2
    return 10 - penalties + 10 * (z - 1)


def _see_turning(q: Array, v: Array) -> Array:
    """The Hopper's angle as sine and cosine: one that has turned over is where it was, not somewhere it has never been."""
    return np.concatenate([q[:, 1:2], np.sin(q[:, 2:3]), np.cos(q[:, 2:3]), q[:, 3:], v.clip(-10, 10)], 1)


def _flip(s: Step) -> Array:
    """Turning backwards, the more so high up; where nobody turns, who stands is better than who lies."""
    return s.qpos[:, 1].clip(0) * (s.before[:, 2] - s.qpos[:, 2]) / s.dt + 0.1 * s.qpos[:, 1]


TASKS = {
    "Reacher": Task("reacher.xml", 2, 10, 50, lambda s: -np.linalg.norm(_reach(s.qpos), axis=1), _see_reacher, 0.1, goal=True),
    "InvertedPendulum": Task("inverted_pendulum.xml", 2, 10, 25, lambda s: 1 - s.qpos[:, 1] ** 2, _without(0), 0.01),
    "InvertedDoublePendulum": Task("inverted_double_pendulum.xml", 5, 10, 50, _double_pendulum, _see_double_pendulum, 0.1,
                                   normal_velocity=True),
    "HalfCheetah": Task("half_cheetah.xml", 5, 20, 1000, lambda s: s.speed, _without(1), 0.1, normal_velocity=True),
    "Hopper": Task("hopper.xml", 4, 40, 1000, lambda s: s.speed + 1 + (s.qpos[:, 1] - 1), _without(1, 10), 5e-3),
    "HopperFlip": Task("hopper.xml", 4, 40, 1000, _flip, _see_turning, 5e-3),
    "Walker2d": Task("walker2d_v5.xml", 4, 30, 1000, lambda s: s.speed + 1 + (s.qpos[:, 1] - 2), _without(1, 10), 5e-3),
    "Ant": Task("ant.xml", 5, 20, 1000, lambda s: s.speed + (s.qpos[:, 2] - 1.2), _without(2), 0.1, normal_velocity=True),
    "Swimmer": Task("swimmer.xml", 4, 40, 1000, lambda s: s.speed, _without(2), 0.1),
}
