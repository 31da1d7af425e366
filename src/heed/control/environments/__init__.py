"""Environments by name: the paper's edited MuJoCo tasks, classic control, and everything Gymnasium knows."""

import os

from heed.control.environments.batch import Arrays, Batch, Moved
from heed.control.environments.tasks import TASKS
from heed.errors import UserError, nearest

__all__ = ["NAMES", "Arrays", "Batch", "Moved", "make"]
NAMES = (*TASKS, "Pendulum-v1", "CartPole-v1")


def make(name: str, n: int, seed: int, *, variable_horizon: bool = False) -> Batch:
    """`n` copies of environment `name`.

    UserError for a name nobody knows, for observations that are no vector, and for episodes that may end early unless
    `variable_horizon` says that this is wanted: when an episode ends tells what people prefer, however the reward that
    was learnt from them may lie.
    """
    check_gl()
    from heed.control.environments.classic import CartPole, Pendulum
    from heed.control.environments.gym import Gymnasium
    from heed.control.environments.physics import VecMujoco

    try:
        if name in TASKS:
            return VecMujoco(name, n, seed)
        own = {"Pendulum-v1": Pendulum, "CartPole-v1": CartPole}
        env = own[name](n, seed) if name in own else Gymnasium(_known(name), n, seed)
    except ModuleNotFoundError as error:
        raise UserError(f"env = {name!r} needs the package {error.name!r}: pip install 'heed[control]'") from None
    if _ends_early(env) and not variable_horizon:
        raise UserError(f"env = {name!r} ends its episodes early, and when they end gives away what people prefer; choose one "
                        f"of fixed length ({', '.join(TASKS)}, Pendulum-v1), or set variable_horizon=true to have it so")
    return env


def check_gl() -> None:
    """UserError where MUJOCO_GL names a library that is not here: mujoco falls over it as it is imported, renderer or not."""
    wanted = os.environ.get("MUJOCO_GL")
    try:
        if wanted:
            import mujoco  # noqa: F401
    except ModuleNotFoundError:
        pass  # said where it is needed
    except (AttributeError, ImportError, RuntimeError, OSError):
        raise UserError(f"MUJOCO_GL={wanted}: that library is not here or does not load; unset it to have EGL, OSMesa or a "
                        "drawing, whichever works (on Debian, OSMesa is libosmesa6, EGL libegl1 and libegl-mesa0)") from None


def _known(name: str) -> str:
    import gymnasium

    if name not in gymnasium.registry and ":" not in name:
        close = nearest(name, [*NAMES, *gymnasium.registry])
        raise UserError(f"env = {name!r} is no environment{close}")
    return name


FIXED = ("Pendulum", "MountainCarContinuous", "HalfCheetah", "Swimmer", "Reacher", "Pusher", "HumanoidStandup")


def _ends_early(env: Batch) -> bool:
    """What is known of Gymnasium's own environments; of others it shows when an episode ends."""
    if hasattr(env, "variable_horizon"):
        return True
    return hasattr(env, "envs") and not env.id.split("/")[-1].startswith(FIXED)
