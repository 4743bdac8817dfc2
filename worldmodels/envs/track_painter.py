"""A CarRacing track painted once an episode, and looked at through a moving camera."""

import math
from itertools import pairwise

import cv2
import numpy as np
from gymnasium.envs.box2d.car_racing import PLAYFIELD, WINDOW_H

from worldmodels.envs.screen import CAR_X, CAR_Y, FULL_ZOOM, Lens, shown

TEXELS_PER_UNIT = 3
"""About two texels to an observed pixel; and grass squares (50 / 3 units) end exactly on texels."""

SIDE = round(2 * PLAYFIELD * TEXELS_PER_UNIT)
PERIOD = SIDE // 20
"""Texels from one grass square to the next; half of them are grass."""

SHIFT = 8
"""Fractional bits of the polygon corners given to OpenCV."""

OUTLINE = 0.5 / TEXELS_PER_UNIT
"""World units by which OpenCV's smoothed outline of a polygon reaches beyond it: half a texel."""

MARGIN = 3
"""Texels painted around a window and thrown away: outlines look different where OpenCV cuts them off."""

LEVELS = 5
"""Textures of halved scale kept for the opening zoom, the full one included."""


def shrink(quads: np.ndarray, margins: tuple[float, float, float, float]) -> np.ndarray:
    """Move the edges of convex quadrilaterals inwards.

    Args:
        quads: corners, (P, 4, 2), in either orientation.
        margins: how far each edge moves; edge k runs from corner k to corner k + 1.
    """
    edges = np.roll(quads, -1, axis=1) - quads
    lengths = np.linalg.norm(edges, axis=2, keepdims=True)
    normals = np.stack([-edges[..., 1], edges[..., 0]], axis=-1) / np.maximum(lengths, 1e-9)
    across, along = quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1]
    area = across[:, 0] * along[:, 1] - across[:, 1] * along[:, 0]
    normals *= np.sign(area)[:, None, None]  # inwards, whichever way the corners run
    # A corner moves by d with d . n = margin for the normals of both edges that meet in it.
    before = np.roll(normals, 1, axis=1)
    margin, margin_before = np.array(margins), np.roll(margins, 1)
    cross = before[..., 0] * normals[..., 1] - before[..., 1] * normals[..., 0]
    cross = np.copysign(np.maximum(np.abs(cross), 0.2), cross)  # never a long spike on a sharp corner
    move_x = (margin_before * normals[..., 1] - margin * before[..., 1]) / cross
    move_y = (margin * before[..., 0] - margin_before * normals[..., 0]) / cross
    return quads + np.stack([move_x, move_y], axis=-1)


class TrackPainter:
    """One track as a texture over the whole playfield; black beyond it, like stock's screen.

    Four channels, the last unused: OpenCV warps four bytes a pixel three times as fast as three.

    Args:
        lens: how the observation samples the screen.
    """

    def __init__(self, lens: Lens) -> None:
        self._lens = lens
        self._levels = [np.zeros((SIDE >> n, SIDE >> n, 4), np.uint8) for n in range(LEVELS)]
        # A task frame's pixel is three texels wide and two high: one bilinear sample of the texture of half the scale
        # is about the mean over its area, for a quarter of the memory to walk through, which no cache holds for as many
        # games as are played side by side. For stock's narrower pixels a sample of the full scale is blur enough.
        self._level = 1 if lens.pixel_width > 12 else 0
        self._ground = np.zeros((2 * PERIOD, 2 * PERIOD), np.uint32)  # RGB and nothing as one number
        self._colours: list[tuple[int, ...]] = []
        self._corners = np.zeros((0, 4, 2), np.int32)
        self._boxes = np.zeros((0, 4), np.int32)

    def paint(self, quads: np.ndarray, colours: np.ndarray, field: np.ndarray, grass: np.ndarray) -> None:
        """Paint a new track.

        Args:
            quads: road tiles and kerbs in drawing order, (P, 4, 2), world coordinates. The first edge of each
                is the one towards the next.
            colours: of these, (P, 3), RGB from 0 to 255.
            field: RGB of the ground.
            grass: RGB of the grass squares upon it.
        """
        # The edge towards the next tile stays: that tile covers it, and no grass shows in the seam.
        inner = shrink(quads, (0, OUTLINE, OUTLINE, OUTLINE))
        texels = (inner + PLAYFIELD) * TEXELS_PER_UNIT - 0.5
        self._corners = np.round(texels * (1 << SHIFT)).astype(np.int32)
        low, high = np.floor(texels.min(axis=1)) - 1, np.ceil(texels.max(axis=1)) + 2
        self._boxes = np.clip(np.concatenate([low, high], axis=1), 1, SIDE - 1).astype(np.int32)
        self._colours = [shown(colour) for colour in colours]

        self._ground[:] = _packed(field)
        squares = self._ground.reshape(2, PERIOD, 2, PERIOD)[:, : PERIOD // 2, :, : PERIOD // 2]
        squares[:] = _packed(grass)
        whole = self._levels[0].view(np.uint32).reshape(SIDE // PERIOD, PERIOD, SIDE // PERIOD, PERIOD)
        whole[:] = self._ground[:PERIOD, None, :PERIOD]
        for corners, colour in zip(self._corners, self._colours, strict=True):
            cv2.fillConvexPoly(self._levels[0], corners, colour, cv2.LINE_AA, SHIFT)
        for finer, level in pairwise(self._levels):
            cv2.resize(finer, level.shape[:2], dst=level, interpolation=cv2.INTER_AREA)

    def repaint(self, index: int, colour: np.ndarray) -> None:
        """Give polygon `index` another colour.

        Its surroundings are painted anew, since smoothed outlines painted twice would be thicker. Coarser textures
        than the one that is looked at after the opening zoom do not change: in that second a tile is hardly a pixel,
        and its change of shade at most five levels.
        """
        self._colours[index] = shown(colour)
        left, bottom, right, top = self._boxes[index].tolist()
        row, column = (bottom - MARGIN) % PERIOD, (left - MARGIN) % PERIOD
        height, width = top - bottom + 2 * MARGIN, right - left + 2 * MARGIN
        ground = self._ground[row : row + height, column : column + width].copy()
        canvas = ground.view(np.uint8).reshape(height, width, 4)
        origin = np.array((left - MARGIN, bottom - MARGIN), np.int32) << SHIFT
        for other in self._touching(left, bottom, right, top):
            cv2.fillConvexPoly(canvas, self._corners[other] - origin, self._colours[other], cv2.LINE_AA, SHIFT)
        full, half = self._levels[:2]
        full[bottom:top, left:right] = canvas[MARGIN:-MARGIN, MARGIN:-MARGIN]
        if self._level:
            left, bottom, right, top = left // 2, bottom // 2, (right + 1) // 2, (top + 1) // 2
            touched = full[2 * bottom : 2 * top, 2 * left : 2 * right]
            half[bottom:top, left:right] = cv2.resize(
                touched, (right - left, top - bottom), interpolation=cv2.INTER_AREA
            )

    def _touching(self, left: int, bottom: int, right: int, top: int) -> list[int]:
        """The polygons, in drawing order, whose boxes share texels with a window."""
        boxes = self._boxes
        apart_x = (boxes[:, 0] >= right) | (boxes[:, 2] <= left)
        apart_y = (boxes[:, 1] >= top) | (boxes[:, 3] <= bottom)
        return np.flatnonzero(~(apart_x | apart_y)).tolist()

    def view(self, position: tuple[float, float], angle: float, zoom: float) -> np.ndarray:
        """The ground as the observation shows it, (game rows, width, 4) uint8, without the car.

        Args:
            position: of the car in the world.
            angle: the car's heading in radians.
            zoom: screen pixels per unit of the world.
        """
        lens = self._lens
        samples, level = 1, self._level
        if zoom < FULL_ZOOM:  # pixels much wider than texels: four samples each, from a coarser texture
            samples = 2
            texels = math.sqrt(lens.pixel_width * lens.pixel_height) * TEXELS_PER_UNIT / zoom
            level = min(max(round(math.log2(texels / samples)), 0), LEVELS - 1)
        ground = cv2.warpAffine(
            self._levels[level],
            self._camera(position, angle, zoom, samples, level),
            (lens.width * samples, lens.game_height * samples),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        if samples > 1:
            ground = cv2.resize(ground, (lens.width, lens.game_height), interpolation=cv2.INTER_AREA)
        return ground

    def _camera(self, position: tuple[float, float], angle: float, zoom: float, samples: int, level: int) -> np.ndarray:
        """Matrix (2, 3) from samples of the view to texels of a level, both counted by their centres."""
        scale = TEXELS_PER_UNIT / 2**level
        cos, sin = math.cos(angle) * scale / zoom, math.sin(angle) * scale / zoom
        across, down = self._lens.pixel_width / samples, self._lens.pixel_height / samples
        # The first sample, in screen pixels from the car, y upwards; the car, in texels.
        right, up = across / 2 - CAR_X, WINDOW_H - down / 2 - CAR_Y
        car_x, car_y = ((coordinate + PLAYFIELD) * scale - 0.5 for coordinate in position)
        return np.array(
            [
                [cos * across, sin * down, cos * right - sin * up + car_x],
                [sin * across, -cos * down, sin * right + cos * up + car_y],
            ]
        )


def _packed(colour: np.ndarray) -> np.ndarray:
    """A colour as one number of four bytes: one store a texel instead of four."""
    return np.array([*shown(colour), 0], np.uint8).view(np.uint32)
