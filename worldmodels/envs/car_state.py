"""The true state of a CarRacing game: how the car moves, and where it is on the road."""

import math
from functools import cache
from typing import Any

import cv2
import numpy as np
from gymnasium.envs.box2d.car_racing import STATE_H, STATE_W, WINDOW_H, WINDOW_W, CarRacing
from numpy.typing import NDArray

from worldmodels.envs.frames import Crop, to_task_frame
from worldmodels.envs.screen import BAR_TOP, CAR_X, CAR_Y, FULL_ZOOM
from worldmodels.envs.state import Label

IN_SIGHT = WINDOW_W / 2 / FULL_ZOOM
"""Units of the world from the car to the frame's left or right edge: a road further away is not seen."""
TILES_AHEAD = 8
"""Tiles of the road over which its bend is measured: about as many as the frame shows ahead of the car."""
CAR_SIZE = (2.9, 5.2)
"""Width and length of the car, wheels included, in units of the world."""
HALF_COVERED = 128
"""A pixel is the car's if so much of it is, out of 255."""
MARGIN = 1.0
"""Units of the world around the car that still count as the car's pixels."""


class CarState:
    """Reads a CarRacing game, stock or fast. All signs are as the driver sees it: right is positive.

    Where the road is out of sight, its three labels are NaN. A car that drives against the track's direction sees its
    road the other way round.

    Args:
        game: the bare game.
        crop: rows and columns that the task keeps of stock's frame.
    """

    labels = (
        Label("speed", "the car's speed, units of the world a second", "slow", "fast"),
        Label("steering", "angle of the front wheels to the car, rad, right positive", "steers left", "steers right"),
        Label("distance", "the car's distance from the road's middle, units of the world", "left of it", "right of it"),
        Label("grass", "share of the four wheels that are off the road", "on the road", "on grass"),
        Label("heading", "angle of the car to the road, rad, right positive", "heads left", "heads right"),
        Label("bend", "angle by which the road turns ahead, rad, right positive", "bends left", "bends right"),
    )
    objects = "the car"

    def __init__(self, game: CarRacing, crop: Crop | None) -> None:
        self.game = game
        shape = game.observation_space.shape or ()
        self._pixels = car_pixels(crop if shape[0] == STATE_H else (0, BAR_TOP, 0, STATE_W))
        self._track: Any = None
        self._nodes = np.zeros((0, 3))

    def read(self, info: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The labels (6,) and the car's pixels; `info` is not needed."""
        car: Any = self.game.car
        speed = math.hypot(*car.hull.linearVelocity.tuple)
        steering = -float(np.mean([wheel.joint.angle for wheel in car.wheels[:2]]))
        grass = float(np.mean([not wheel.tiles for wheel in car.wheels]))
        distance, heading, bend = self._road(car.hull)
        return np.array([speed, steering, distance, grass, heading, bend], np.float32), self._pixels

    def _road(self, hull: Any) -> tuple[float, float, float]:
        """Distance, heading and bend; NaN if the road is out of sight."""
        if self.game.track is not self._track:
            self._track = self.game.track
            self._nodes = np.array([(x, y, beta) for _, beta, x, y in self.game.track])
        away = np.array(hull.position.tuple) - self._nodes[:, :2]
        nearest = int(np.argmin((away**2).sum(1)))
        beta = self._nodes[nearest, 2]  # the road runs towards (-sin beta, cos beta): its right is (cos beta, sin beta)
        distance = float(away[nearest] @ (math.cos(beta), math.sin(beta)))
        if math.hypot(*away[nearest]) > IN_SIGHT:
            return math.nan, math.nan, math.nan
        heading = _turn(beta - hull.angle)
        along = 1 if abs(heading) <= math.pi / 2 else -1
        ahead = self._nodes[(nearest + along * TILES_AHEAD) % len(self._nodes), 2]
        if along < 0:
            heading = _turn(heading + math.pi)
        return along * distance, heading, _turn(beta - ahead)


def _turn(angle: float) -> float:
    """The same angle between -pi and pi."""
    return math.remainder(angle, 2 * math.pi)


@cache
def car_pixels(crop: Crop | None) -> NDArray[np.bool_]:
    """Pixels (64, 64) of the task frame around the place where the camera holds the car, nose up.

    `crop` is what the task keeps of stock's 96x96 frame. In an episode's first second the car is smaller than that.
    """
    width, length = ((size / 2 + MARGIN) * FULL_ZOOM for size in CAR_SIZE)
    across = np.abs(np.arange(WINDOW_W) + 0.5 - CAR_X) <= width
    down = np.abs(np.arange(WINDOW_H) + 0.5 - (WINDOW_H - CAR_Y)) <= length
    screen = np.outer(down, across).astype(np.uint8) * 255
    stock = cv2.resize(screen, (STATE_W, STATE_H), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return to_task_frame(stock, crop)[..., 0] >= HALF_COVERED
