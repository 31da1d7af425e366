"""Classic control, all copies at once: Pendulum-v1 and CartPole-v1 with Gymnasium's dynamics and rewards."""

import numpy as np
from numpy.typing import NDArray

from heed.control.environments.batch import Arrays, Batch


class Classic(Batch):
    """Copies whose whole state is a row of numbers."""

    def __init__(self, n: int, seed: int):
        super().__init__(n, seed)
        self.state = np.zeros((n, len(self.spread)))

    spread: tuple[float, ...]  # how far from 0 each coordinate may begin

    def states(self) -> NDArray[np.float64]:
        """Gymnasium's `state`."""
        return self.state.copy()

    def _start(self, copies) -> None:
        for i in copies:
            self.state[i] = self.random(i).uniform(-1, 1, len(self.spread)) * self.spread

    def _keep(self) -> Arrays:
        return {"state": self.state.copy()}

    def _restore(self, kept: Arrays) -> None:
        self.state = kept["state"].copy()


class Pendulum(Classic):
    """Swing a rod up and hold it there; 200 steps, at most 0 each."""

    id, horizon, clip, obs_size, action_size = "Pendulum-v1", 200, 30, 3, 1
    spread = (np.pi, 1.0)

    def _advance(self, actions: NDArray) -> tuple[NDArray, NDArray]:
        angle, speed = self.state.T
        torque = 2.0 * actions[:, 0].astype(np.float64).clip(-1, 1)
        from_top = (angle + np.pi) % (2 * np.pi) - np.pi
        cost = from_top**2 + 0.1 * speed**2 + 0.001 * torque**2
        speed = (speed + (15.0 * np.sin(angle) + 3.0 * torque) * 0.05).clip(-8, 8)
        self.state = np.stack([angle + speed * 0.05, speed], 1)
        return -cost, np.zeros(self.n, bool)

    def _see(self) -> NDArray[np.float32]:
        angle, speed = self.state.T
        return np.stack([np.cos(angle), np.sin(angle), speed], 1).astype(np.float32)


class CartPole(Classic):
    """Push a cart left (0) or right (1) so that its pole stays up; the episode ends when it falls, or after 500 steps."""

    id, horizon, clip, obs_size, action_size, discrete = "CartPole-v1", 500, 50, 4, 2, True
    spread = (0.05, 0.05, 0.05, 0.05)
    variable_horizon = True

    def _advance(self, actions: NDArray) -> tuple[NDArray, NDArray]:
        x, dx, angle, turn = self.state.T
        force = np.where(actions == 1, 10.0, -10.0)
        sin, cos = np.sin(angle), np.cos(angle)
        push = (force + 0.05 * turn**2 * sin) / 1.1
        acceleration = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
        slide = push - 0.05 * acceleration * cos / 1.1
        self.state = np.stack([x + 0.02 * dx, dx + 0.02 * slide, angle + 0.02 * turn, turn + 0.02 * acceleration], 1)
        fallen = (np.abs(self.state[:, 0]) > 2.4) | (np.abs(self.state[:, 2]) > 12 * 2 * np.pi / 360)
        return np.ones(self.n), fallen

    def _see(self) -> NDArray[np.float32]:
        return self.state.astype(np.float32)
