"""Clips: what a few seconds of behaviour look like, as a small film that any browser plays.

    show = painter("Hopper")           # says in `show.how` by what: MuJoCo through EGL, through OSMesa, or a drawing
    film(show(segment.states), fps_of("Hopper"))

A segment of the paper's tasks plays for 1.5 seconds, slowed down to the frame rates of rl-teacher, every state a frame.
"""

import io
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from heed.control.environments import check_gl
from heed.control.scene import BACKENDS, NoRenderer, Rendered, model_of, task_of
from heed.errors import UserError

SIZE = (320, 240)  # pixels
SECONDS = 1.5  # that a segment plays
CODECS = ("libvpx-vp9", "libvpx")  # free ones, which every browser knows
FASTEST = {"deadline": "realtime", "cpu-used": "8", "crf": "24", "b": "0", "row-mt": "0", "lag-in-frames": "0"}


class Painter(Protocol):
    """States [T, ds] -> frames [T, height, width, 3]; `how` says by what."""

    how: str

    def __call__(self, states: NDArray[np.float64]) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Film:
    """A file for the browser."""

    data: bytes
    mime: str

    @property
    def ending(self) -> str:
        """Of its name."""
        return self.mime.split("/")[1]


def painter(env: str, size: tuple[int, int] = SIZE, how: str = "") -> Painter:
    """The best there is for that environment here: EGL, then OSMesa, then a drawing; `how` takes one of these alone.

    MUJOCO_GL=egl or osmesa takes that one of the two.  UserError where the environment cannot be shown at all, or not so.
    """
    from heed.control.drawing import Drawn, knows

    check_gl()
    if not knows(env):
        raise UserError(f"env = {env!r} cannot be shown: expected one of MuJoCo's, or Pendulum-v1, CartPole-v1 or Acrobot-v1; "
                        "people compare what they see")
    ways = (*BACKENDS, "drawing") if model_of(env) is not None else ("drawing",)
    if how and how not in ways:
        raise UserError(f"{env} is not shown through {how!r}: expected {', '.join(ways)}")
    reasons = []
    for way in (how,) if how else ways:
        try:
            return Drawn(env, size) if way == "drawing" else Rendered(env, way, size)
        except NoRenderer as error:
            reasons.append(f"{way}: {error}")
    raise UserError(f"{env} cannot be rendered here ({'; '.join(reasons)}): on Debian, apt-get install libegl1 libegl-mesa0 "
                    "libgl1-mesa-dri for EGL, libosmesa6 for OSMesa")


def fps_of(env: str) -> float:
    """Frames a second at which people see it."""
    from heed.control.environments.classic import CartPole, Pendulum
    from heed.control.environments.tasks import TASKS

    if (task := task_of(env)) in TASKS:
        return float(TASKS[task].fps)
    for own in (Pendulum, CartPole):
        if env == own.id:
            return own.clip / SECONDS
    import gymnasium

    return float(gymnasium.spec(env).make().metadata.get("render_fps", 20)) if env in gymnasium.registry else 20.0


def film(frames: NDArray[np.uint8], fps: float) -> Film:
    """Frames [T, height, width, 3] as WebM (VP9, else VP8); without PyAV as an animated WebP.  The same bytes for the same."""
    try:
        import av
    except ImportError:
        return Film(_webp(frames, fps), "image/webp")
    from fractions import Fraction

    codec = next((name for name in CODECS if name in av.codecs_available), None)
    if codec is None:
        return Film(_webp(frames, fps), "image/webp")
    out, rate = io.BytesIO(), Fraction(fps).limit_denominator(1001)
    with av.open(out, "w", format="webm", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=rate, options=FASTEST)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        for array in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(array), "rgb24")))
        container.mux(stream.encode())
    return Film(out.getvalue(), "video/webm")


def _webp(frames: NDArray[np.uint8], fps: float) -> bytes:
    from PIL import Image

    first, *rest = [Image.fromarray(frame) for frame in frames]
    out = io.BytesIO()
    first.save(out, "WEBP", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, quality=70, method=0)
    return out.getvalue()
