"""CarRacing at the speed of its physics: Gymnasium's own game, with only its pixels made another way."""

import math
from typing import Any

import cv2
import numpy as np
from gymnasium import spaces
from gymnasium.envs.box2d.car_racing import STATE_H, STATE_W, CarRacing
from gymnasium.utils import EzPickle

from worldmodels.envs.car_painter import car_painter_of
from worldmodels.envs.car_physics import FastCar
from worldmodels.envs.indicator_bar import IndicatorBar
from worldmodels.envs.screen import BAR_TOP, lens_of, zoom_at
from worldmodels.envs.track_painter import TrackPainter


class FastCarRacing(CarRacing):
    """Gymnasium's CarRacing-v3 with observations painted some hundred times as fast.

    Tracks, physics, rewards and endings are stock's, bit for bit. Stock draws some 800 polygons a frame;
    here the track is painted once an episode, and a frame is one affine warp of that texture with the car
    and the indicators on top. Frames differ from stock's by rounding and anti-aliasing:
    `benchmarks/car_racing.py` says how little.

    Observations are uint8 RGB, (size, size, 3), a fresh array each. `render()` is stock's own.

    Args:
        render_mode: as in CarRacing-v3, like the four that follow.
        verbose: print how the track came about.
        lap_complete_percent: share of tiles to visit before crossing the start ends the lap.
        domain_randomize: other colours every episode.
        continuous: actions are (steering -1..1, gas 0..1, brake 0..1); else one of 0 nothing, 1 right, 2 left, 3 gas,
            4 brake.
        size: 96 for stock's frame; 64 for the task frame, which is stock's frame without its indicator bar (rows 0 to
            83) resized by `cv2.INTER_AREA`: what Ha & Schmidhuber (2018) train V on.

    Raises:
        ValueError: if `size` is neither 96 nor 64.
    """

    car: Any  # Box2D's objects have no types
    road: Any

    def __init__(
        self,
        render_mode: str | None = None,
        verbose: bool = False,
        lap_complete_percent: float = 0.95,
        domain_randomize: bool = False,
        continuous: bool = True,
        size: int = STATE_W,
    ) -> None:
        stock_arguments = (render_mode, verbose, lap_complete_percent, domain_randomize, continuous)
        super().__init__(*stock_arguments)
        EzPickle.__init__(self, *stock_arguments, size)
        lens = lens_of(size)
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self._track_painter = TrackPainter(lens)
        self._car_painter = car_painter_of(size)
        self._bar = IndicatorBar() if lens.shows_bar else None
        self._tile_colours = self._painted_colours = np.zeros((0, 3))
        self._tile_polygons: list[int] = []
        self._is_painted = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode on a new track, as stock does."""
        observation, info = super().reset(seed=seed, options=options)
        self.car.__class__ = FastCar  # stock made it, and moved it once
        return observation, info

    def step(self, action: np.ndarray | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Advance by a fiftieth of a second, as stock does.

        Raises:
            ValueError: if an action holds NaN or infinity: stock's physics once gave it a perfect score.
        """
        if isinstance(action, np.ndarray) and not all(map(math.isfinite, action.flat)):
            raise ValueError(f"CarRacing takes finite numbers for steering, gas and brake, not {action}.")
        return super().step(action)

    def _create_track(self) -> bool:
        """Try stock's track generation; make the colours of its tiles the rows of one array.

        Tiles change colour when the car touches them (stock's contact listener writes into `tile.color`), and
        comparing one array finds those that did.
        """
        if not super()._create_track():
            return False
        self._tile_colours = np.array([tile.color for tile in self.road])
        row_of = {id(tile.color): row for tile, row in zip(self.road, self._tile_colours, strict=True)}
        self._tile_polygons = [n for n, (_, colour) in enumerate(self.road_poly) if id(colour) in row_of]
        self.road_poly = [(quad, row_of.get(id(colour), colour)) for quad, colour in self.road_poly]
        for tile, row in zip(self.road, self._tile_colours, strict=True):
            tile.color = row
        self._is_painted = False
        return True

    def _render(self, mode: str) -> Any:
        """Draw an observation; leave to stock what is for people's eyes."""
        if mode != "state_pixels" or self.car is None:
            return super()._render(mode)
        self._update_track()
        return self._observe()

    def _update_track(self) -> None:
        if not self._is_painted:
            quads, colours = zip(*self.road_poly, strict=True)
            self._track_painter.paint(np.array(quads), np.array(colours), self.bg_color, self.grass_color)
            self._painted_colours = self._tile_colours.copy()
            self._is_painted = True
            return
        changed = self._tile_colours != self._painted_colours
        if changed.any():
            for tile in np.flatnonzero(changed.any(axis=1)):
                self._track_painter.repaint(self._tile_polygons[tile], self._tile_colours[tile])
            np.copyto(self._painted_colours, self._tile_colours)

    def _observe(self) -> np.ndarray:
        zoom, hull = zoom_at(self.t), self.car.hull
        game = self._track_painter.view(hull.position.tuple, hull.angle, zoom)
        self._car_painter.paint(game, self.car, zoom)
        if self._bar is None:
            return cv2.cvtColor(game, cv2.COLOR_BGRA2BGR)  # drops the fourth channel; the order stays RGB
        frame = np.empty((STATE_H, STATE_W, 3), np.uint8)
        cv2.cvtColor(game, cv2.COLOR_BGRA2BGR, dst=frame[:BAR_TOP])
        frame[BAR_TOP:] = self._bar.draw(self.car, self.reward)
        return frame
