"""Frames laid out as pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worldmodels.files import atomic

Frames = NDArray[np.uint8]


def to_bytes(frames: NDArray[np.floating]) -> Frames:
    """Frames in 0..1 as uint8."""
    return np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)


def grid(rows: Sequence[Frames], gap: int = 2) -> Frames:
    """Rows of N frames (N, H, W, 3) as one picture, `gap` white pixels between them."""
    count, height, width, _ = rows[0].shape
    picture = np.full((len(rows) * (height + gap) - gap, count * (width + gap) - gap, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, frame in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            picture[top : top + height, left : left + width] = frame
    return picture


def enlarge(picture: Frames, scale: int) -> Frames:
    """Each pixel (..., H, W, 3) as scale x scale sharp pixels."""
    return picture.repeat(scale, axis=-3).repeat(scale, axis=-2)


def write_png(path: Path, picture: Frames, scale: int = 1) -> None:
    """Write a picture (H, W, 3), each pixel `scale` pixels wide, atomically."""
    with atomic(path) as temporary:
        Image.fromarray(enlarge(picture, scale)).save(temporary, format="PNG")
