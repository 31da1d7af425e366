"""Frames drawn in two dimensions, with Pillow alone: what always works.

The bodies of a MuJoCo model are laid flat, seen from the side or from above, as capsules; Pendulum, CartPole and Acrobot are
drawn from their state.  Drawn at twice the size and made smaller, so that edges are smooth.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from heed.control.scene import FLOOR, LINE, PAPER, STEP, View, colour_of, looked_at, model_of, placed, task_of, view_of

ABOVE = 2  # times the size at which lines are drawn
HALF_FIELD = np.tan(np.radians(22.5))  # what MuJoCo's camera sees at distance 1, upwards
INK, ACCENT, WOOD = (0.24, 0.23, 0.20), (0.05, 0.40, 0.54), (0.80, 0.60, 0.40)
Colour = tuple[float, ...] | NDArray


class Sheet:
    """A picture in metres: `centre` is in the middle, `high` metres from top to bottom."""

    def __init__(self, size: tuple[int, int], centre: tuple[float, float], high: float):
        self.size, self.centre = (size[0] * ABOVE, size[1] * ABOVE), centre
        self.scale = self.size[1] / high
        self.image = Image.new("RGB", self.size, _rgb(PAPER))
        self.pen = ImageDraw.Draw(self.image)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """In pixels."""
        return (self.size[0] / 2 + (x - self.centre[0]) * self.scale, self.size[1] / 2 - (y - self.centre[1]) * self.scale)

    def capsule(self, a: tuple[float, float], b: tuple[float, float], radius: float, colour: Colour) -> None:
        """A line with round ends; a disc where `a` is `b`."""
        r, fill = max(ABOVE, radius * self.scale), _rgb(colour)
        ends = [self.at(*a), self.at(*b)]
        self.pen.line(ends, fill, round(2 * r))
        for x, y in ends:
            self.pen.ellipse((x - r, y - r, x + r, y + r), fill)

    def box(self, low: tuple[float, float], high: tuple[float, float], colour: Colour) -> None:
        """A rectangle, corner to corner."""
        (x0, y0), (x1, y1) = self.at(*low), self.at(*high)
        self.pen.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), _rgb(colour))

    def lines(self, axis: int, low: float = -np.inf, high: float = np.inf) -> None:
        """A line across every half metre, between two heights (of axis 0) of the sheet."""
        reach = self.size[axis] / self.scale / 2
        low, high = max(low, self.centre[1] - 1e3), min(high, self.centre[1] + 1e3)
        for at in np.arange(np.ceil((self.centre[axis] - reach) / STEP) * STEP, self.centre[axis] + reach, STEP):
            ends = ((at, low), (at, high)) if axis == 0 else ((self.centre[0] - 1e3, at), (self.centre[0] + 1e3, at))
            self.pen.line([self.at(*ends[0]), self.at(*ends[1])], _rgb(LINE), ABOVE)

    def pixels(self) -> NDArray[np.uint8]:
        """[height, width, 3]"""
        return np.asarray(self.image.reduce(ABOVE))


class Drawn:
    """Frames of one environment, which `knows(env)`."""

    def __init__(self, env: str, size: tuple[int, int]):
        self.how, self.size = "a drawing in two dimensions", size
        model = model_of(env)
        self.sheets = CLASSIC[task_of(env)] if model is None else partial(_flat, model, view_of(env, model))

    def __call__(self, states: NDArray[np.float64]) -> NDArray[np.uint8]:
        """[T, ds] -> [T, height, width, 3]"""
        return np.stack([sheet.pixels() for sheet in self.sheets(states, self.size)])


def knows(env: str) -> bool:
    """Whether `Drawn` can draw it."""
    return task_of(env) in CLASSIC or model_of(env) is not None


def _flat(model: Any, view: View, states: NDArray, size: tuple[int, int]) -> Iterator[Sheet]:
    """Every body as a capsule along its longest side, the farthest first."""
    import mujoco

    def move(model, data):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)

    over, depth = ((0, 1), 2) if view.top else ((0, 2), 1)
    planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    centre = np.array([*model.stat.center[:2], view.height]) if not view.top else np.array([0.0, 0.0, 0.0])
    for data in placed(model, states, move):
        middle = looked_at(view, centre, data)
        sheet = Sheet(size, (middle[over[0]], middle[over[1]]), 2 * HALF_FIELD * view.distance)
        if planes.any():
            _ground(sheet, view, float(data.geom_xpos[planes.argmax()][2]))
        order = np.argsort(data.geom_xpos[:, depth] * (1 if view.top else -1), kind="stable")
        for g in order:
            if not planes[g]:
                a, b, radius = _capsule(model, data, g)
                sheet.capsule(tuple(a[list(over)]), tuple(b[list(over)]), radius, _shaded(colour_of(model, g), data, g, depth))
        yield sheet


def _ground(sheet: Sheet, view: View, z: float) -> None:
    if view.top:
        sheet.lines(0)
        sheet.lines(1)
        return
    sheet.box((sheet.centre[0] - 1e2, z - 1e2), (sheet.centre[0] + 1e2, z), FLOOR)
    sheet.lines(0, high=z)


def _capsule(model: Any, data: Any, g: int) -> tuple[NDArray, NDArray, float]:
    """Its two ends and its radius."""
    import mujoco

    kind, size, place, turn = int(model.geom_type[g]), model.geom_size[g], data.geom_xpos[g], data.geom_xmat[g].reshape(3, 3)
    shapes = mujoco.mjtGeom
    if kind in (int(shapes.mjGEOM_CAPSULE), int(shapes.mjGEOM_CYLINDER)):
        along, half, radius = 2, size[1], size[0]
    elif kind in (int(shapes.mjGEOM_BOX), int(shapes.mjGEOM_ELLIPSOID)):
        along = int(size.argmax())
        radius = float(np.sort(size)[1])
        half = size[along] - radius
    else:
        along, half, radius = 2, 0.0, float(model.geom_rbound[g] if kind == int(shapes.mjGEOM_MESH) else size[0])
    return place - half * turn[:, along], place + half * turn[:, along], float(radius)


def _shaded(colour: Colour, data: Any, g: int, depth: int) -> Colour:
    """What lies behind the middle of the body is darker: the far leg."""
    behind = depth == 1 and data.geom_xpos[g][1] > data.subtree_com[1][1] + 0.02
    return tuple(c * (0.7 if behind else 1.0) for c in colour)


def _pendulum(states: NDArray, size: tuple[int, int]) -> Iterator[Sheet]:
    """State: angle from upright, speed."""
    for angle in states[:, 0]:
        sheet = Sheet(size, (0.0, 0.0), 2.8)
        sheet.capsule((0, 0), (-np.sin(angle), np.cos(angle)), 0.09, (0.72, 0.30, 0.28))
        sheet.capsule((0, 0), (0, 0), 0.045, INK)
        yield sheet


def _cartpole(states: NDArray, size: tuple[int, int]) -> Iterator[Sheet]:
    """State: place, speed, angle from upright, turning; the marks are where the track ends."""
    for x, _, angle, _ in states:
        sheet = Sheet(size, (0.0, 0.6), 3.9)
        sheet.capsule((-2.4, 0), (2.4, 0), 0.01, LINE)
        for end in (-2.4, 2.4):
            sheet.capsule((end, -0.15), (end, 0.15), 0.01, LINE)
        sheet.box((x - 0.3, -0.15), (x + 0.3, 0.15), ACCENT)
        sheet.capsule((x, 0.1), (x + np.sin(angle), 0.1 + np.cos(angle)), 0.05, WOOD)
        yield sheet


def _acrobot(states: NDArray, size: tuple[int, int]) -> Iterator[Sheet]:
    """State: angle of the first link from hanging, of the second from the first; the line is the height to reach."""
    for first, second, *_ in states:
        sheet = Sheet(size, (0.0, 0.0), 4.6)
        elbow = (np.sin(first), -np.cos(first))
        tip = (elbow[0] + np.sin(first + second), elbow[1] - np.cos(first + second))
        sheet.capsule((-2.2, 1), (2.2, 1), 0.01, LINE)
        sheet.capsule((0, 0), elbow, 0.09, ACCENT)
        sheet.capsule(elbow, tip, 0.09, WOOD)
        yield sheet


CLASSIC: dict[str, Callable[[NDArray, tuple[int, int]], Iterator[Sheet]]] = {
    "Pendulum": _pendulum, "CartPole": _cartpole, "Acrobot": _acrobot}


def _rgb(colour: Colour) -> tuple[int, int, int]:
    return tuple(round(255 * float(c)) for c in colour[:3])
