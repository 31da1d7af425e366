"""A world whose best is known, and segments with rewards of one's choice."""

import numpy as np

from heed.control.environments.batch import Batch
from heed.control.segments import Segment, stack


class Corridor(Batch):
    """Walk along -1..1 by a tenth a step at most, from the middle; a step pays where one stands: 15.5 is the best of 20."""

    id, horizon, clip, obs_size, action_size = "Corridor", 20, 5, 1, 1
    best = sum(min(1.0, 0.1 * (t + 1)) for t in range(20))

    def __init__(self, n, seed):
        super().__init__(n, seed)
        self.x = np.zeros((n, 1))

    def states(self):
        return self.x.copy()

    def _start(self, copies):
        self.x[list(copies)] = 0

    def _advance(self, actions):
        self.x = (self.x + 0.1 * self.way(actions)).clip(-1, 1)
        return self.x[:, 0].copy(), np.zeros(self.n, bool)

    def way(self, actions):
        return actions.clip(-1, 1)

    def _see(self):
        return self.x.astype(np.float32)

    def _keep(self):
        return {"x": self.x.copy()}

    def _restore(self, kept):
        self.x = kept["x"].copy()


class Buttons(Corridor):
    """The same corridor, walked by two buttons."""

    action_size, discrete = 2, True

    def way(self, actions):
        return (2.0 * actions - 1)[:, None]


def segments(rewards, obs=None, seed=0):
    """Segments with these true rewards [N, T]; what is seen is the reward, unless given."""
    rewards = np.asarray(rewards, float)
    random = np.random.default_rng(seed)
    seen = rewards[..., None].astype(np.float32) if obs is None else obs
    return stack(Segment(f"s{i}", "Corridor", seen[i], random.uniform(-1, 1, (*rewards[i].shape, 1)).astype(np.float32),
                         np.zeros((len(r), 1)), r) for i, r in enumerate(rewards))
