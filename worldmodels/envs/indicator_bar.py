"""The black bar below CarRacing's stock frame: score, speed, four wheels, steering wheel and gyroscope.

All but the score are upright rectangles, and a rectangle is a column of row coverages times a row of column
coverages: the seven of them are one small matrix product.
"""

import math
from functools import cache, lru_cache

import numpy as np
import pygame
from gymnasium.envs.box2d.car_dynamics import Car
from gymnasium.envs.box2d.car_racing import STATE_H, STATE_W, WINDOW_H, WINDOW_W

from worldmodels.envs.screen import BAR_TOP, lens_of, smoothscale_loss

UNIT_X, UNIT_Y = WINDOW_W // 40, WINDOW_H // 40
SCREEN_TOP = WINDOW_H - 5 * UNIT_Y
"""First screen row of the bar; rows below are counted from it."""

BASE = 4 * UNIT_Y
"""Row on which the upright indicators stand."""

SIDEWAYS = (1 * UNIT_Y, 3 * UNIT_Y)
"""First and last row of the indicators that grow to the left and right."""

WHITE, BLUE, VIOLET, GREEN, RED = (255, 255, 255), (0, 0, 255), (51, 0, 255), (0, 255, 0), (255, 0, 0)
UPRIGHT = ((5, WHITE), (7, BLUE), (8, BLUE), (9, VIOLET), (10, VIOLET))
"""Place, in units, and colour of the speed and of the four wheels."""

STEERING, GYROSCOPE = (20, GREEN), (30, RED)
INVISIBLE = 1e-4
"""Indicators of smaller values are not drawn."""

SCORE_CENTRE = (60, 2.5 * UNIT_Y)
SCORE_COLUMNS = 12
"""Frame columns that hold the score; the speed begins in the thirteenth."""


def spans(weights: np.ndarray, origin: int) -> np.ndarray:
    """Coverage by every span of screen pixels from `origin` to another pixel, both included.

    Args:
        weights: share of each screen pixel in each frame pixel, (frame pixels, screen pixels).
        origin: where all spans begin.

    Returns:
        (screen pixels + 1, frame pixels): row k is for the span between `origin` and k, on either side of it,
        and the last row, all zeros, for none.
    """
    before = np.pad(np.cumsum(weights, axis=1), ((0, 0), (1, 0))).T
    ends = np.arange(weights.shape[1])
    covered = before[np.maximum(ends, origin) + 1] - before[np.minimum(ends, origin)]
    return np.pad(covered, ((0, 1), (0, 0))).astype(np.float32)


def coloured(coverage: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Coverage (..., pixels) as interleaved RGB (..., 3 * pixels)."""
    rgb = coverage[..., None] * np.array(colour, np.float32)
    return rgb.reshape(*coverage.shape[:-1], -1)


class IndicatorBar:
    """Draws the bar of one environment."""

    def __init__(self) -> None:
        lens = lens_of(STATE_W)
        rows = lens.rows[BAR_TOP:, SCREEN_TOP:]
        self._upright = spans(rows, BASE)
        self._steering = coloured(spans(lens.columns, STEERING[0] * UNIT_X), STEERING[1])
        self._gyroscope = coloured(spans(lens.columns, GYROSCOPE[0] * UNIT_X), GYROSCOPE[1])
        self._rows = np.zeros((7, STATE_H - BAR_TOP), np.float32)
        self._rows[5:] = spans(rows, SIDEWAYS[0])[SIDEWAYS[1]]
        self._columns = np.zeros((7, STATE_W * 3), np.float32)
        for index, (place, colour) in enumerate(UPRIGHT):
            between = spans(lens.columns, place * UNIT_X)[(place + 1) * UNIT_X]
            self._columns[index] = coloured(between, colour)

    def draw(self, car: Car, score: float) -> np.ndarray:
        """The bar, (12, 96, 3) uint8.

        Args:
            car: whose speed, wheels, steering and turning are shown.
            score: the return so far.
        """
        hull, wheels = car.hull, car.wheels
        speed = math.hypot(*hull.linearVelocity)
        heights = [(speed, 0.02), *((wheel.omega, 0.01) for wheel in wheels)]
        tops = [_end(BASE - UNIT_Y * scale * value, value, WINDOW_H - SCREEN_TOP) for value, scale in heights]
        self._rows[:5] = self._upright[tops]
        steering, turning = wheels[0].joint.angle, hull.angularVelocity
        self._columns[5] = self._steering[_end(UNIT_X * (STEERING[0] - 10 * steering), steering, WINDOW_W)]
        self._columns[6] = self._gyroscope[_end(UNIT_X * (GYROSCOPE[0] - 0.8 * turning), turning, WINDOW_W)]
        bar = (self._rows.T @ self._columns).reshape(-1, STATE_W, 3)
        bar[:, :SCORE_COLUMNS] = score_patch(f"{score:04.0f}")
        bar -= smoothscale_loss() - 0.5  # the half makes truncation rounding
        np.clip(bar, 0, 255, out=bar)
        return bar.astype(np.uint8)


def _end(pixel: float, value: float, pixels: int) -> int:
    """Row of a table of `spans` for the one up to `pixel`; the empty one if `value` is too small to be shown."""
    return min(max(int(pixel), 0), pixels - 1) if abs(value) > INVISIBLE else pixels


@lru_cache(maxsize=4096)
def score_patch(score: str) -> np.ndarray:
    """The score at the left of the bar, (12, 12, 1) float32, drawn once a process in stock's font."""
    lens, text = lens_of(STATE_W), _write(score)
    box = text.get_rect()
    box.center = SCORE_CENTRE
    grey = pygame.surfarray.array3d(text)[..., 0].T  # white on black: one channel says it all
    rows = lens.rows[BAR_TOP:, SCREEN_TOP + box.top :][:, : box.height]
    columns = lens.columns[:SCORE_COLUMNS, max(box.left, 0) :][:, : box.width]
    patch = rows @ grey[:, -columns.shape[1] :] @ columns.T
    return patch[..., None].astype(np.float32)


def _write(score: str) -> pygame.Surface:
    try:
        return _score_font().render(score, True, WHITE, (0, 0, 0))
    except pygame.error:  # somebody has called pygame.quit(), which ends every font
        _score_font.cache_clear()
        return _score_font().render(score, True, WHITE, (0, 0, 0))


@cache
def _score_font() -> pygame.font.Font:
    pygame.font.init()
    return pygame.font.Font(pygame.font.get_default_font(), 42)
