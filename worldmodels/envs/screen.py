"""The geometry of CarRacing's pixels: how the game's screen becomes an observation.

Gymnasium draws on a 1000 x 800 screen and shrinks it to 96 x 96 by averaging areas
(`pygame.transform.smoothscale`). That, and shrinking further to a 64 x 64 task frame, is linear and
separable: two small matrices, one for columns and one for rows. What is drawn at screen resolution reaches
the observation through them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pygame
from gymnasium.envs.box2d.car_racing import SCALE, STATE_H, STATE_W, WINDOW_H, WINDOW_W, ZOOM

from worldmodels.envs.frames import SIZE, area_weights

BAR_TOP = STATE_H - 12
"""First frame row of the indicator bar: it takes the lowest 5 of the screen's 40 units."""

CAR_X, CAR_Y = WINDOW_W / 2, WINDOW_H / 4
"""Where the camera holds the car on the screen, y counted upwards."""

FULL_ZOOM = ZOOM * SCALE
"""Screen pixels per unit of the world once the opening zoom, one second long, is over."""


def zoom_at(time: float) -> float:
    """Screen pixels per unit of the world, `time` seconds into an episode."""
    return 0.1 * SCALE * max(1 - time, 0) + FULL_ZOOM * min(time, 1)


@cache
def smoothscale_loss() -> int:
    """Levels by which pygame's integer arithmetic darkens every colour as it shrinks the screen: 2 on x86."""
    surface = pygame.Surface((125, 100))  # the screen's ratios to 96 x 96, on an eighth of its side
    surface.fill((128, 128, 128))
    shrunk = pygame.transform.smoothscale(surface, (12, 12))
    return 128 - int(shrunk.get_at((6, 6))[0])


def shown(colour: Iterable[float]) -> tuple[int, ...]:
    """The colour, as integers, that an observation shows where the screen is evenly painted in `colour`."""
    return tuple(max(int(channel) - smoothscale_loss(), 0) for channel in colour)


@dataclass(frozen=True)
class Lens:
    """The way from the 1000 x 800 screen to an observation.

    Attributes:
        columns: weights of screen columns, (width, 1000).
        rows: weights of screen rows from the top, (height, 800); the bar's too where it is observed.
        width: observed columns.
        game_height: observed rows, from the top, that show the game and not the bar.
        pixel_width: screen pixels across an observed pixel.
        pixel_height: screen pixels down an observed pixel of the game.
    """

    columns: np.ndarray
    rows: np.ndarray
    width: int
    game_height: int
    pixel_width: float
    pixel_height: float

    @property
    def shows_bar(self) -> bool:
        """Whether the indicator bar is part of the observation."""
        return len(self.rows) > self.game_height


@cache
def lens_of(size: int) -> Lens:
    """The lens for stock's frame (size 96) or for the task frame (64): less its bar, and shrunk again.

    Raises:
        ValueError: for any other size.
    """
    columns, rows = area_weights(WINDOW_W, STATE_W), area_weights(WINDOW_H, STATE_H)
    game_height = BAR_TOP
    if size == SIZE:
        columns = area_weights(STATE_W, SIZE) @ columns
        rows = area_weights(BAR_TOP, SIZE) @ rows[:BAR_TOP]
        game_height = SIZE
    elif size != STATE_W:
        raise ValueError(f"CarRacing is observed at size {STATE_W} or {SIZE}, not {size!r}.")
    game_share = BAR_TOP / STATE_H
    return Lens(columns, rows, size, game_height, WINDOW_W / size, WINDOW_H * game_share / game_height)
