"""A MuJoCo scene as frames, without a GPU and without a screen: EGL, else OSMesa, both in software.

Shadows, reflections, haze and multisampling are off, the chequered floor is replaced by a plain one with a line every half
metre, round bodies have fewer faces: a frame costs 3 ms where MuJoCo's own settings take 40.
"""

import ctypes
import importlib
import os
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heed.errors import UserError

BACKENDS = ("egl", "osmesa")
PAPER, FLOOR, LINE = (0.97, 0.96, 0.93), (0.86, 0.85, 0.81), (0.66, 0.65, 0.60)
STEP = 0.5  # metres between the lines on the floor


class NoRenderer(Exception):
    """Why frames cannot be rendered that way, in a few words."""


@dataclass(frozen=True)
class View:
    """Where the camera stands; metres and degrees."""

    distance: float
    height: float = 0.0  # of the point looked at
    elevation: float = -8.0  # -90 looks straight down
    follow: str = ""  # of "x" and "y", what the camera follows; never up and down, or nobody would see a jump

    @property
    def top(self) -> bool:
        """Seen from above."""
        return self.elevation < -60


VIEWS = {
    "HalfCheetah": View(3.6, 0.5, follow="x"),
    "Hopper": View(4.2, 1.15, follow="x"),
    "HopperFlip": View(4.2, 1.15, follow="x"),
    "Walker2d": View(4.2, 1.0, follow="x"),
    "Ant": View(5.0, 0.5, -25.0, follow="xy"),
    "Swimmer": View(5.0, 0.0, -89.0, follow="xy"),
    "Reacher": View(0.62, 0.0, -89.0),
    "InvertedPendulum": View(3.2, 0.3),
    "InvertedDoublePendulum": View(4.0, 0.6),
}


def task_of(env: str) -> str:
    """HalfCheetah of HalfCheetah-v5."""
    return re.sub(r"-v\d+$", "", env)


@cache
def model_of(env: str) -> Any:
    """The MuJoCo model of an environment, ours or Gymnasium's; None where it has none."""
    import gymnasium
    import mujoco

    from heed.control.environments.tasks import TASKS

    mujoco.set_mju_user_warning(lambda message: None)
    if env in TASKS:
        place = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / TASKS[env].xml
        return mujoco.MjModel.from_xml_path(str(place))
    try:
        made = gymnasium.make(env)
    except (gymnasium.error.Error, ImportError, ValueError):
        return None
    model = getattr(made.unwrapped, "model", None)
    return model if isinstance(model, mujoco.MjModel) else None


def view_of(env: str, model: Any) -> View:
    """How it is looked at; a model that nobody has placed a camera for is seen whole."""
    import mujoco

    if (task := task_of(env)) in VIEWS:
        return VIEWS[task]
    free = model.njnt and model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE
    return View(1.5 * float(model.stat.extent), float(model.stat.center[2]), -20.0, "xy" if free else "")


def placed(model: Any, states: NDArray[np.float64], move: Any):
    """The scene at each of `states` [T, qpos + qvel], as `move` (mj_kinematics, mj_forward) leaves it."""
    import mujoco

    if states.ndim != 2 or states.shape[1] < model.nq:
        raise UserError(f"states of shape {states.shape} are none of this model: expected [T, {model.nq} positions and "
                        f"{model.nv} velocities]")
    data = mujoco.MjData(model)
    for state in states:
        data.qpos[:] = state[: model.nq]
        move(model, data)
        yield data


class Rendered:
    """Frames of one environment through `backend`.  Its context belongs to the thread that made it."""

    def __init__(self, env: str, backend: str, size: tuple[int, int]):
        import mujoco

        self.how = f"MuJoCo through {'EGL' if backend == 'egl' else 'OSMesa'}"
        self.width, self.height = size
        model = self.model = _softened(model_of(env), size)
        self.view = view_of(env, model)
        self.context = gl_context(backend, size)
        self.renderer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.renderer)
        if self.renderer.currentBuffer != mujoco.mjtFramebuffer.mjFB_OFFSCREEN:
            raise NoRenderer("no picture off screen")
        self.scene, self.option = mujoco.MjvScene(model, maxgeom=model.ngeom + 100), mujoco.MjvOption()
        for flag in ("SHADOW", "REFLECTION", "HAZE"):
            self.scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
        self.camera = mujoco.MjvCamera()
        self.camera.type, self.camera.azimuth = mujoco.mjtCamera.mjCAMERA_FREE, 90.0
        self.camera.distance, self.camera.elevation = self.view.distance, self.view.elevation
        middle = (0.0, 0.0) if task_of(env) in VIEWS else model.stat.center[:2]
        self.centre = np.array([*middle, self.view.height])
        self.sky = (model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX).any()  # without one it is black
        self.floor = [g for g in range(model.ngeom) if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_PLANE]

    def __call__(self, states: NDArray[np.float64]) -> NDArray[np.uint8]:
        """[T, qpos + qvel] -> [T, height, width, 3]"""
        import mujoco

        def move(model, data):
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_camlight(model, data)

        self.context.make_current()  # another scene may have been drawn, or thrown away, since
        frames = np.empty((len(states), self.height, self.width, 3), np.uint8)
        rect, category = mujoco.MjrRect(0, 0, self.width, self.height), mujoco.mjtCatBit.mjCAT_ALL
        for frame, data in zip(frames, placed(self.model, states, move), strict=True):
            self.camera.lookat[:] = looked_at(self.view, self.centre, data)
            mujoco.mjv_updateScene(self.model, data, self.option, None, self.camera, category, self.scene)
            if self.floor and self.view.follow:
                self._lines(data.geom_xpos[self.floor[0]][2])
            mujoco.mjr_render(rect, self.scene, self.renderer)
            mujoco.mjr_readPixels(frame, None, rect, self.renderer)
            if not self.sky:
                frame[~frame.any(2)] = np.array(PAPER) * 255
        return frames[:, ::-1]

    def __del__(self):
        if hasattr(self, "renderer") and not sys.is_finalizing():
            self.context.make_current()  # what is freed is whatever bears its numbers in the current context
            self.renderer.free()
            self.context.free()

    def _lines(self, z: float) -> None:
        """A line every half metre, so that one sees how fast it goes."""
        import mujoco

        reach = 1.2 * self.view.distance
        for axis in (0, 1) if self.view.follow != "x" else (0,):
            start = np.ceil((self.camera.lookat[axis] - reach) / STEP) * STEP
            for at in np.arange(start, self.camera.lookat[axis] + reach, STEP):
                if self.scene.ngeom >= self.scene.maxgeom:
                    return
                place, half = np.array([*self.camera.lookat[:2], z]), np.full(3, reach)
                place[axis], half[axis], half[2] = at, 0.012, 0.001
                mujoco.mjv_initGeom(self.scene.geoms[self.scene.ngeom], mujoco.mjtGeom.mjGEOM_BOX, half, place,
                                    np.eye(3).ravel(), np.array([*LINE, 1.0], np.float32))
                self.scene.ngeom += 1


def looked_at(view: View, centre: NDArray, data: Any) -> NDArray:
    """The point before the camera."""
    at = centre.copy()
    for axis, name in enumerate("xy"):
        if name in view.follow:
            at[axis] = data.subtree_com[1][axis]
    return at


def colour_of(model: Any, g: int) -> NDArray:
    """Of a body: its own, else its material's without the texture."""
    material, own = model.geom_matid[g], model.geom_rgba[g, :3]
    return own if material < 0 or not np.allclose(own, 0.5) else model.mat_rgba[material, :3]


def gl_context(backend: str, size: tuple[int, int]) -> Any:
    """A context to draw in, current in this thread.  Raises NoRenderer."""
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    if wanted and wanted != backend:
        raise NoRenderer(f"MUJOCO_GL={wanted}")
    os.environ["PYOPENGL_PLATFORM"] = backend  # read once, when OpenGL is imported
    try:
        made = importlib.import_module(f"mujoco.{backend}").GLContext(*size)
        made.make_current()
        return made
    except (ImportError, RuntimeError, AttributeError, OSError, ctypes.ArgumentError, TypeError) as error:
        for name in [n for n in sys.modules if n.split(".")[0] == "OpenGL" or n == f"mujoco.{backend}"]:
            del sys.modules[name]  # so that another platform may be tried
        raise NoRenderer(str(error).strip().split("\n")[0][:120] or type(error).__name__) from error


def _softened(model: Any, size: tuple[int, int]) -> Any:
    """A copy that is cheap to render and easy to look at."""
    import copy

    import mujoco

    soft = copy.copy(model)
    soft.vis.global_.offwidth, soft.vis.global_.offheight = size
    quality = soft.vis.quality
    quality.offsamples, quality.shadowsize, quality.numslices, quality.numstacks, quality.numquads = 0, 0, 14, 7, 1
    light = soft.vis.headlight
    light.active, light.ambient[:], light.diffuse[:], light.specular[:] = 1, 0.7, 0.4, 0.1
    soft.light_active[:] = 0
    for g in range(soft.ngeom):
        plane = soft.geom_type[g] == mujoco.mjtGeom.mjGEOM_PLANE
        soft.geom_rgba[g, :3], soft.geom_matid[g] = FLOOR if plane else colour_of(model, g), -1
        if plane:
            soft.geom_size[g] = 3e3  # no agent runs that far; drawn in one piece
    for t in range(soft.ntex):
        if soft.tex_type[t] == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            n = soft.tex_height[t] * soft.tex_width[t] * soft.tex_nchannel[t]
            soft.tex_data[soft.tex_adr[t] : soft.tex_adr[t] + n] = np.tile(np.array(PAPER) * 255, n // 3).astype(np.uint8)
    return soft
