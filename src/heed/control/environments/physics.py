"""MuJoCo tasks at the speed of the physics: one call of `mujoco.rollout` moves all copies."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from heed.control.environments.batch import Arrays, Batch
from heed.control.environments.tasks import TASKS, Step


class VecMujoco(Batch):
    """`n` copies of one of TASKS; a state is MuJoCo's full physics: time, qpos, qvel."""

    def __init__(self, name: str, n: int, seed: int):
        import gymnasium
        import mujoco
        from mujoco.rollout import Rollout

        super().__init__(n, seed)
        self.id, self.task = name, TASKS[name]
        place = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / self.task.xml
        mujoco.set_mju_user_warning(lambda message: None)  # else it writes MUJOCO_LOG.TXT wherever it stands
        self.model = mujoco.MjModel.from_xml_path(str(place))
        self.horizon, self.clip = self.task.horizon, self.task.clip
        self.data, self.rollout = mujoco.MjData(self.model), Rollout(nthread=0)
        self.nq, self.nv = self.model.nq, self.model.nv
        self.action_size = self.model.nu
        self.low, self.high = self.model.actuator_ctrlrange.T.copy()
        self.dt = self.task.frame_skip * self.model.opt.timestep
        size = mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        self.physics = np.zeros((n, size))
        self._after = np.zeros((n, self.task.frame_skip, size))
        self._control = np.zeros((n, self.task.frame_skip, self.model.nu))
        self._sensors = np.zeros((n, self.task.frame_skip, self.model.nsensordata))
        self.obs_size = self.task.see(self.qpos, self.qvel).shape[1]

    @property
    def qpos(self) -> NDArray[np.float64]:
        """[n, nq]"""
        return self.physics[:, 1 : 1 + self.nq]

    @property
    def qvel(self) -> NDArray[np.float64]:
        """[n, nv]"""
        return self.physics[:, 1 + self.nq : 1 + self.nq + self.nv]

    def states(self) -> NDArray[np.float64]:
        """qpos, then qvel."""
        return self.physics[:, 1 : 1 + self.nq + self.nv].copy()

    def _advance(self, actions: NDArray) -> tuple[NDArray, NDArray]:
        applied = self.low + (actions.clip(-1, 1) + 1) * (0.5 * (self.high - self.low))
        self._control[:] = applied[:, None]
        self.rollout.rollout(self.model, [self.data], self.physics, self._control, state=self._after,
                             sensordata=self._sensors)
        before, self.physics = self.qpos, self._after[:, -1].copy()
        rewards = self.task.reward(Step(before, self.qpos, self.qvel, applied, self.dt))
        return rewards, np.zeros(self.n, bool)

    def _start(self, copies) -> None:
        task, start = self.task, self.model.qpos0
        for i in copies:
            random = self.random(i)
            position = start + random.uniform(-task.noise, task.noise, self.nq)
            velocity = random.normal(0, 0.1, self.nv)
            if not task.normal_velocity:
                velocity = random.uniform(-task.noise, task.noise, self.nv)
            if task.goal:
                radius, angle = 0.2 * np.sqrt(random.uniform()), random.uniform(0, 2 * np.pi)
                position[-2:] = radius * np.cos(angle), radius * np.sin(angle)
                velocity = np.append(velocity[:-2] * 0.05, [0.0, 0.0])
            self.physics[i] = 0
            self.qpos[i], self.qvel[i] = position, velocity

    def _see(self) -> NDArray[np.float32]:
        return self.task.see(self.qpos, self.qvel).astype(np.float32)

    def _keep(self) -> Arrays:
        return {"physics": self.physics.copy()}

    def _restore(self, kept: Arrays) -> None:
        self.physics = kept["physics"].copy()
