"""The car of CarRacing at the scale of the observation.

The car never moves on the screen: the camera follows its hull. What changes is how the four wheels are
steered and turned. Averaging areas is linear, and wheels hide nothing of each other, so the car's pixels
are the hull's plus those of each wheel where the hull leaves it visible; and a wheel's pixels depend on two
angles alone, so they are looked up.
"""

import math
from functools import cache

import cv2
import numpy as np
from gymnasium.envs.box2d.car_dynamics import (
    HULL_POLY1,
    HULL_POLY2,
    HULL_POLY3,
    HULL_POLY4,
    SIZE,
    WHEEL_COLOR,
    WHEEL_R,
    WHEEL_W,
    WHEEL_WHITE,
    WHEELPOS,
    Car,
)
from gymnasium.envs.box2d.car_racing import WINDOW_H

from worldmodels.envs.screen import CAR_X, CAR_Y, FULL_ZOOM, Lens, lens_of, shown

HULL_PARTS = (HULL_POLY1, HULL_POLY2, HULL_POLY3, HULL_POLY4)
HULL_CORNERS = np.concatenate(HULL_PARTS) * SIZE
HULL_ENDS = np.cumsum([len(part) for part in HULL_PARTS])[:-1]
HULL_COLOUR = (0.8 * 255, 0.0, 0.0)
HALF_WIDTH, HALF_HEIGHT = 28, 44
"""The part of the screen, in pixels from the car's centre, that the car never leaves."""

STEERING_LIMIT = 0.44
"""Radians. The joints stop at 0.4, give or take what the solver lets through."""
STEERING_STEPS = 17
PHASES = 32
STRIPE = 1.2
"""Radians of a wheel's turn taken by the white stripe on its tread."""

Polygon = tuple[list[tuple[float, float]], tuple[int, ...]]
"""Corners in the hull's coordinates; red, green, blue, and 1."""


def stripe_span(phase: float) -> tuple[float, float] | None:
    """Ends, in wheel radii, of the stripe seen on a wheel turned by `phase`; None when it is underneath."""
    start, end = phase, phase + STRIPE
    start_hidden, end_hidden = math.sin(start) > 0, math.sin(end) > 0
    if start_hidden and end_hidden:
        return None
    near, far = math.cos(start), math.cos(end)
    return (math.copysign(1, near) if start_hidden else near, math.copysign(1, far) if end_hidden else far)


class CarPainter:
    """Draws the car over a view of the ground.

    A layer is (rows, columns, 4) float32 over the few pixels the car can reach: red, green and blue to add,
    and the share of the ground that shows through. Layers add up: the hull's begins with all the ground,
    wheels take from it.

    Args:
        lens: how the observation samples the screen.
    """

    def __init__(self, lens: Lens) -> None:
        rows = _reached(lens.rows, WINDOW_H - CAR_Y - HALF_HEIGHT, WINDOW_H - CAR_Y + HALF_HEIGHT)
        columns = _reached(lens.columns, CAR_X - HALF_WIDTH, CAR_X + HALF_WIDTH)
        self._window = rows, columns
        left, bottom = int(CAR_X) - HALF_WIDTH, int(CAR_Y) - HALF_HEIGHT
        upwards = lens.rows[rows, ::-1]  # polygons are drawn y upwards
        self._row_weights = upwards[:, bottom : bottom + 2 * HALF_HEIGHT].astype(np.float32)
        self._column_weights = lens.columns[columns, left : left + 2 * HALF_WIDTH].astype(np.float32)
        # Opaque: the fourth channel is how much of a pixel is covered.
        self._hull_colour, self._tread_colour, self._stripe_colour = (
            (*shown(colour), 1) for colour in (HULL_COLOUR, WHEEL_COLOR, WHEEL_WHITE)
        )
        self._hull = self._over_ground(self._canvas(), FULL_ZOOM)
        angles = np.linspace(-STEERING_LIMIT, STEERING_LIMIT, STEERING_STEPS)
        phases = np.arange(PHASES) * (2 * math.pi / PHASES)
        self._wheels = [
            [[self._wheel_layer(wheel, angle, phase) for phase in phases] for angle in angles]
            for wheel in range(len(WHEELPOS))
        ]

    def paint(self, frame: np.ndarray, car: Car, zoom: float) -> None:
        """Paint the car into `frame` (rows, columns, 4) uint8, seen at `zoom` screen pixels a unit."""
        layer = self._look_up(car) if zoom >= FULL_ZOOM else self._draw(car, zoom)
        window = frame[self._window]
        window[...] = window * layer[..., 3:] + layer

    def _look_up(self, car: Car) -> np.ndarray:
        layer = self._hull.copy()
        for layers, wheel in zip(self._wheels, car.wheels, strict=True):
            layer += layers[_steering_step(wheel.joint.angle)][_phase_step(wheel.phase)]
        return layer

    def _draw(self, car: Car, zoom: float) -> np.ndarray:
        canvas, polygons = self._canvas(), []
        for index, wheel in enumerate(car.wheels):
            polygons += self._wheel(index, wheel.joint.angle, wheel.phase)
        _fill(canvas, polygons, zoom)
        return self._over_ground(canvas, zoom)

    def _over_ground(self, canvas: np.ndarray, zoom: float) -> np.ndarray:
        """The layer of what is on a canvas, with the hull upon it."""
        self._fill_hull(canvas, zoom, self._hull_colour)
        layer = self._shrink(canvas)
        layer[..., 3] = 1 - layer[..., 3]
        layer[..., :3] += 0.5  # what is cut off when a layer goes into a frame is then rounded
        return layer

    def _wheel_layer(self, index: int, angle: float, phase: float) -> np.ndarray:
        """What a wheel adds to the layer of the hull."""
        canvas = self._canvas()
        _fill(canvas, self._wheel(index, angle, phase), FULL_ZOOM)
        self._fill_hull(canvas, FULL_ZOOM, (0, 0, 0, 0))
        layer = self._shrink(canvas)
        layer[..., 3] *= -1
        return layer

    def _canvas(self) -> np.ndarray:
        return np.zeros((2 * HALF_HEIGHT, 2 * HALF_WIDTH, 4), np.float32)

    def _wheel(self, index: int, angle: float, phase: float) -> list[Polygon]:
        tread = (_tread(index, angle, -1, 1), self._tread_colour)
        stripe = stripe_span(phase)
        return [tread, (_tread(index, angle, *stripe), self._stripe_colour)] if stripe else [tread]

    def _fill_hull(self, canvas: np.ndarray, zoom: float, colour: tuple[int, ...]) -> None:
        for part in np.split(_to_canvas(HULL_CORNERS, zoom), HULL_ENDS):
            cv2.fillConvexPoly(canvas, part, colour)

    def _shrink(self, canvas: np.ndarray) -> np.ndarray:
        """From screen pixels (y upwards) to the pixels of the observation."""
        rows = self._row_weights @ canvas.reshape(len(canvas), -1)
        return np.matmul(self._column_weights, rows.reshape(len(rows), *canvas.shape[1:]))


@cache
def car_painter_of(size: int) -> CarPainter:
    """The painter for observations of `size`; it keeps no state of a game, so a process needs only one."""
    return CarPainter(lens_of(size))


def _reached(weights: np.ndarray, first: float, last: float) -> slice:
    """The observed pixels to which any screen pixel from `first` up to `last` contributes."""
    touched = np.flatnonzero(weights[:, int(first) : int(last)].any(axis=1))
    return slice(int(touched[0]), int(touched[-1]) + 1)


def _tread(index: int, angle: float, start: float, end: float) -> list[tuple[float, float]]:
    """Four corners, in the hull's coordinates, of a wheel between two heights given in its radii."""
    cos, sin = math.cos(angle) * SIZE, math.sin(angle) * SIZE
    x, y = (coordinate * SIZE for coordinate in WHEELPOS[index])
    start, end = start * WHEEL_R, end * WHEEL_R
    local = ((-WHEEL_W, end), (WHEEL_W, end), (WHEEL_W, start), (-WHEEL_W, start))
    return [(x + cos * across - sin * along, y + sin * across + cos * along) for across, along in local]


def _to_canvas(corners: np.ndarray, zoom: float) -> np.ndarray:
    """Corners (..., 2) from the hull's coordinates to whole screen pixels, cut off as pygame does."""
    return np.floor(corners * zoom + (HALF_WIDTH, HALF_HEIGHT)).astype(np.int32)


def _fill(canvas: np.ndarray, polygons: list[Polygon], zoom: float) -> None:
    corners = _to_canvas(np.array([corners for corners, _ in polygons]), zoom)
    for polygon, (_, colour) in zip(corners, polygons, strict=True):
        cv2.fillConvexPoly(canvas, polygon, colour)


def _steering_step(angle: float) -> int:
    step = round((angle / STEERING_LIMIT + 1) * (STEERING_STEPS - 1) / 2)
    return min(max(step, 0), STEERING_STEPS - 1)


def _phase_step(phase: float) -> int:
    return round(phase * (PHASES / (2 * math.pi))) % PHASES
