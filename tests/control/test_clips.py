"""A segment on film: what is where on the picture, how long it plays, and what happens without a renderer."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("PIL")

from heed.control.clips import SECONDS, film, fps_of, painter
from heed.control.drawing import CLASSIC
from heed.control.environments import make
from heed.control.environments.tasks import TASKS
from heed.control.scene import NoRenderer, Rendered, model_of
from heed.errors import UserError

PLANAR = ["HalfCheetah", "Hopper", "Walker2d", "Ant", "Swimmer", "Reacher", "InvertedPendulum", "InvertedDoublePendulum"]


def behaviour(env, steps=None):
    """States of a segment of random behaviour."""
    batch, random = make(env, 1, 0, variable_horizon=True), np.random.default_rng(0)
    batch.begin()
    states = []
    for _ in range(steps or batch.clip):
        states.append(batch.states()[0])
        size = (1, batch.action_size)
        batch.step(random.integers(batch.action_size, size=1) if batch.discrete else random.uniform(-1, 1, size))
    return np.stack(states)


def upright(env):
    """[1, qpos + qvel] as the model stands at first."""
    model = model_of(env)
    return np.concatenate([model.qpos0, np.zeros(model.nv)])[None]


def coloured(frame):
    """Where the picture shows a body: paper, floor and lines are nearly grey.  [height, width]"""
    return np.ptp(frame.astype(int), axis=2) > 40


def middle(mask):
    """(across, down) of what is true, in pixels."""
    down, across = np.nonzero(mask)
    return across.mean(), down.mean()


@pytest.fixture(params=["egl", "osmesa", "drawing"])
def way(request):
    if request.param != "drawing":
        try:
            Rendered("Hopper", request.param, (32, 24))
        except NoRenderer as error:
            pytest.skip(f"no {request.param} here: {error}")
    return request.param


@pytest.mark.parametrize("env", PLANAR)
def test_something_moves_on_the_picture(env, way):
    frames = painter(env, how=way)(behaviour(env, 12))
    assert frames.shape == (12, 240, 320, 3) and frames.dtype == np.uint8
    assert coloured(frames[0]).any() and (frames[0] != frames[-1]).any(), "a body, and it moves"
    assert frames[0].mean() > 100, "on light ground"


def test_the_camera_follows_along_and_not_up(way):
    still = upright("Hopper")
    states = np.repeat(still, 3, 0)
    states[1, 0] += 400.0  # ahead
    states[2, 1] += 0.5  # up
    frames = painter("Hopper", how=way)(states)
    assert np.median(frames[0][-1], 0) == pytest.approx(np.median(frames[1][-1], 0), abs=3), "there is floor wherever it runs"
    (x0, y0), (x1, y1), (x2, y2) = (middle(coloured(f)) for f in frames)
    assert abs(x1 - x0) < 2 and abs(y1 - y0) < 2, "ahead: the hopper stays in the middle, the floor moves"
    assert abs(x2 - x0) < 2 and 20 < y0 - y2 < 60, "up: half a metre is seen as half a metre"


def test_the_drawing_agrees_with_the_renderer(way):
    states = behaviour("HalfCheetah", 2)[1:]
    drawn, shown = (middle(coloured(painter("HalfCheetah", how=how)(states)[0])) for how in ("drawing", way))
    assert np.allclose(drawn, shown, atol=12), "same place, seen a little from above"


def test_another_scene_thrown_away_leaves_this_one_whole(way):
    states = upright("Hopper")
    first = painter("Hopper", how=way)
    before = first(states)
    other = painter("Walker2d", how=way)
    other(upright("Walker2d"))
    del other
    assert (first(states) == before).all()


@pytest.mark.parametrize("angle, side", [(0.0, (0, -1)), (np.pi / 2, (-1, 0)), (np.pi, (0, 1))])
def test_a_pendulum_points_where_it_points(angle, side):
    across, down = middle(coloured(painter("Pendulum-v1")(np.array([[angle, 0.0]]))[0]))
    assert np.sign(round((across - 160) / 20)) == side[0] and np.sign(round((down - 120) / 20)) == side[1]


def test_a_cart_and_an_acrobot_are_where_they_are():
    left, right = painter("CartPole-v1")(np.array([[-1.0, 0, 0, 0], [1.0, 0, 0, 0]]))
    assert middle(coloured(left))[0] < 100 < 220 < middle(coloured(right))[0]
    hanging, up = painter("Acrobot-v1")(np.array([[0.0, 0, 0, 0], [np.pi, 0, 0, 0]]))
    assert middle(coloured(up))[1] < 100 < 140 < middle(coloured(hanging))[1]


@pytest.mark.parametrize("env", [*TASKS, "Pendulum-v1", "CartPole-v1"])
def test_a_segment_plays_for_a_second_and_a_half(env):
    assert make(env, 1, 0, variable_horizon=True).clip / fps_of(env) == pytest.approx(SECONDS, abs=0.05)


def test_a_film_holds_every_frame():
    av = pytest.importorskip("av")
    frames = painter("Hopper", how="drawing")(behaviour("Hopper"))
    made = film(frames, fps_of("Hopper"))
    assert made.mime == "video/webm" and made == film(frames, fps_of("Hopper")), "the same bytes for the same"
    with av.open(io.BytesIO(made.data)) as container:
        read = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        seconds = float(container.duration) / 1e6
    assert len(read) == 60 and seconds == pytest.approx(1.5, abs=0.03)
    assert np.abs(read[-1].astype(int) - frames[-1]).mean() < 6, "recognisable"


def test_without_pyav_it_is_an_animated_webp(monkeypatch):
    from PIL import Image

    monkeypatch.setitem(sys.modules, "av", None)
    made = film(painter("Pendulum-v1")(np.zeros((9, 2)) + np.arange(9)[:, None] / 3), 20.0)
    assert made.mime == "image/webp" and made.ending == "webp"
    with Image.open(io.BytesIO(made.data)) as image:
        assert image.n_frames == 9 and image.size == (320, 240)


def test_an_environment_that_nobody_can_draw_is_said():
    pytest.importorskip("gymnasium")
    with pytest.raises(UserError, match=r"MountainCar-v0.* cannot be shown: expected one of MuJoCo's, or Pendulum-v1"):
        painter("MountainCar-v0")
    with pytest.raises(UserError, match="is not shown through 'egl'"):
        painter("Pendulum-v1", how="egl")
    with pytest.raises(UserError, match=r"states of shape \(3, 2\)"):
        painter("Hopper", how="drawing")(np.zeros((3, 2)))
    assert {"Pendulum", "CartPole", "Acrobot"} == set(CLASSIC)


WITHOUT = """
import sys
from heed.control.clips import painter
for way in ("mujoco.egl", "mujoco.osmesa"):  # a machine that has neither
    sys.modules[way] = None
print(painter("Hopper").how)
sys.modules["mujoco.egl"] = None
try:
    painter("Hopper", how="egl")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_machine_without_renderers_draws_and_says_what_to_install():
    env = {k: v for k, v in os.environ.items() if k != "MUJOCO_GL"} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", WITHOUT], env=env, capture_output=True, text=True, check=True)
    said = done.stdout.split("\n")
    assert said[0] == "a drawing in two dimensions"
    assert said[1].startswith("UserError Hopper cannot be rendered here (egl:") and "apt-get install libegl1" in said[1]
