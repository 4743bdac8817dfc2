"""Screens as Doom draws them, in a palette of 256 colours, and what V sees of them.

The engine would make RGB of them, but the numbers of colours are a third of the bytes, and they let the three colours
of a pixel be averaged as one number.
"""

import struct
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from worldmodels.envs.doom_engine import IWAD
from worldmodels.envs.frames import area_weights

SCREEN_SHAPE = (120, 160, 3)
TASK_ROWS = 100
"""Rows that V sees; below them is the place of the status bar."""

Screen = NDArray[np.uint8]
"""Numbers of colours, uint8 (120, 160)."""


def coloured(screen: Screen) -> NDArray[np.uint8]:
    """The RGB picture (120, 160, 3) of a screen (120, 160)."""
    return palette()[screen]


def task_frame(screen: Screen) -> NDArray[np.uint8]:
    """What V sees of a screen: its upper `TASK_ROWS` rows, averaged to 64x64.

    screen: uint8 (120, 160), of which the rows below may be missing. Returns uint8 (64, 64, 3), bit for bit that of
    `cv2.resize(coloured(screen)[:TASK_ROWS], (64, 64), interpolation=cv2.INTER_AREA)` in a third of its time.
    """
    return _averaged(screen, _packed_palette())


def covered(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """How much of each pixel of the task frame a mask (120, 160) of the screen covers: uint8 (64, 64), of 255."""
    return _averaged(mask.view(np.uint8), _BLACK_AND_WHITE)[..., 0]


@cache
def palette() -> NDArray[np.uint8]:
    """The colours, uint8 (256, 3): the first of the lump PLAYPAL in the game's WAD file."""
    with IWAD.open("rb") as file:
        _, lumps, directory = struct.unpack("<4sii", file.read(12))
        file.seek(directory)
        for start, _, name in struct.iter_unpack("<ii8s", file.read(16 * lumps)):
            if name.rstrip(b"\0") == b"PLAYPAL":
                file.seek(start)
                return np.frombuffer(file.read(256 * 3), np.uint8).reshape(256, 3)
    raise ValueError(f"{IWAD} holds no palette.")


def _averaged(screen: Screen, packed: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The upper 100 rows of a screen of packed colours (256, 1), averaged to uint8 (64, 64, 3).

    5 columns make exactly 2 and 25 rows exactly 16, so area averaging is two small matrix products: of whole numbers,
    in units of 1/5 of a column and 1/25 of a row. The sums, at most 125 * 255, do not leave their 16 bits. Their mean
    is a multiple of 1/125, never closer than 1/250 to where rounding tips: far beyond float32's error.
    """
    pixels = cv2.LUT(screen[:TASK_ROWS], packed).reshape(TASK_ROWS * 8, 20)  # 4 groups of 5 columns a row
    narrow = (pixels @ _COLUMNS).reshape(4, 25, 64)  # 4 bands of 25 rows
    sums = _ROWS @ narrow  # (4, 16, 64)
    sums += _MANTISSA
    means = cv2.convertScaleAbs(sums.view("<u2").reshape(64, 64, 4), alpha=1 / 125)
    return cv2.cvtColor(means, cv2.COLOR_BGRA2BGR)  # type: ignore[return-value]  # drops the exponent's bits


def _packed(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Colours (256, 3), each as one number with 16 bits a channel: float64 (256, 1), which keeps 53 bits."""
    return colours.astype(np.float64) @ np.array([[1.0], [2.0**16], [2.0**32]])


@cache
def _packed_palette() -> NDArray[np.float64]:
    return _packed(palette())


def _whole_weights(source: int, target: int) -> NDArray[np.float64]:
    """`area_weights` in units of 1/source, which are whole numbers."""
    return np.rint(source * area_weights(source, target))


_ROWS = _whole_weights(25, 16)  # (16, 25)
_COLUMNS = np.kron(np.eye(4), _whole_weights(5, 2).T)  # (20, 8): 4 groups at once are faster than one
_MANTISSA = 2.0**52  # a whole number below it is, once it is added, the lower bits of the sum
_BLACK_AND_WHITE = _packed(np.eye(1, 256, 1, np.uint8).T.repeat(3, 1) * np.uint8(255))
