"""Pictures put side by side and under one another, with text between them."""

from collections.abc import Sequence

import numpy as np

from worldmodels.pictures import Frames
from worldmodels.render.overlay import BACKGROUND, beside, line

GAP = 4


def row(pictures: Sequence[Frames], gap: int = GAP) -> Frames:
    """Pictures of one height (H, W, 3), from left to right."""
    return _join(pictures, gap, axis=1)


def column(pictures: Sequence[Frames], gap: int = GAP) -> Frames:
    """Pictures from top to bottom; narrower ones are filled up on the right."""
    width = max(picture.shape[1] for picture in pictures)
    return _join([filled(picture, width) for picture in pictures], gap, axis=0)


def filled(picture: Frames, width: int) -> Frames:
    """A picture with background to its right, up to a width."""
    wide = np.full((picture.shape[0], width, 3), BACKGROUND, np.uint8)
    wide[:, : picture.shape[1]] = picture
    return wide


def _join(pictures: Sequence[Frames], gap: int, axis: int) -> Frames:
    shape = list(pictures[0].shape)
    shape[axis] = gap
    between = np.full(shape, BACKGROUND, np.uint8)
    parts = [part for picture in pictures for part in (between, picture)][1:]
    return np.concatenate(parts, axis=axis)


def labelled(panes: Sequence[Frames], labels: Sequence[str], size: int) -> Frames:
    """Panes in a row, each with its label above it."""
    titles = [line(label, pane.shape[1], size, "centre") for pane, label in zip(panes, labels, strict=True)]
    return column([row(titles), row(panes)], gap=0)


def captioned(picture: Frames, left: str, right: str, size: int) -> Frames:
    """A picture with a line below it: a text at its left end and one at its right."""
    return column([picture, beside(left, right, picture.shape[1], size)], gap=0)


def text_size(scale: int) -> int:
    """Font size in pixels that goes with frames enlarged `scale` times."""
    return max(8, 4 * scale)
