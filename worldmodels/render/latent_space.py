"""Pictures of V's latent space: reconstructions, traversals of every dimension, interpolations."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldmodels.measure.reconstruction import decoded
from worldmodels.pictures import Frames, enlarge, grid, to_bytes
from worldmodels.render.layout import captioned, column, labelled, row, text_size
from worldmodels.render.overlay import line
from worldmodels.vision.base import VisionModel

SHOWN = 12
"""Held-out frames beside their reconstructions."""
STEPS = 9
"""Places along a traversal or an interpolation."""
TAIL = 0.01
"""A traversal leaves out so large a share of the latents at either end."""
ROWS = 16
"""Traversals under one another; further ones stand beside them."""
PAIRS = 4
"""Interpolations in the picture."""
VIDEO_STEPS = 24
"""Steps from one frame to the next in the video."""
DIFFERENCE = 4
"""Differences are shown so many times as large."""


class Known(NamedTuple):
    """Where a V's latents lie.

    Attributes:
        frames: held-out frames, uint8 (N, 64, 64, 3).
        z: their latents, float32 (N, Z); of a model that cannot encode, samples of its prior.
        training: latents of training frames, float32 (M, Z), or again samples of the prior.
        logvar: log-variances of the posteriors of those, float32 (M, Z).
        encodes: whether they are latents of frames.
    """

    frames: Frames
    z: NDArray[np.float32]
    training: NDArray[np.float32]
    logvar: NDArray[np.float32]
    encodes: bool


def pictures_of(vision: VisionModel, z: NDArray[np.float32]) -> Frames:
    """What V decodes latents (N, Z) to, uint8 (N, 64, 64, 3)."""
    return to_bytes(decoded(vision, z))


def reconstructions(vision: VisionModel, known: Known) -> Frames:
    """Held-out frames, their reconstructions, and how both differ."""
    pictures = pictures_of(vision, known.z)
    difference = np.abs(pictures.astype(int) - known.frames) * DIFFERENCE
    return grid([known.frames, pictures, np.minimum(difference, 255).astype(np.uint8)])


def traversals(vision: VisionModel, known: Known) -> Frames:
    """A row a latent dimension, from end to end of where training frames' latents lie, all others being one frame's.

    Those that change the frame most come first.
    """
    centre = known.z[len(known.z) // 2]
    ends = np.quantile(known.training, [TAIL, 1 - TAIL], axis=0)
    rows = [_traversed(vision, centre, dimension, ends[:, dimension]) for dimension in range(len(centre))]
    effects = [float(np.abs(frames[0].astype(float) - frames[-1]).mean()) for frames in rows]
    order = np.argsort(effects)[::-1]
    size = text_size(2)
    strips = [
        column([line(f"z{d}: {ends[0, d]:.2f} to {ends[1, d]:.2f}", STEPS * 68 - 4, size), row(rows[d])], gap=0)
        for d in order
    ]
    return row(_columns(strips), gap=16)


def _traversed(vision: VisionModel, centre: NDArray[np.float32], dimension: int, ends: NDArray[np.floating]) -> Frames:
    z = np.repeat(centre[None], STEPS, 0)
    z[:, dimension] = np.linspace(ends[0], ends[1], STEPS)
    return pictures_of(vision, z)


def _columns(strips: list[Frames]) -> list[Frames]:
    """Strips of one size in columns of equal height."""
    blank = [np.zeros_like(strips[0])] * (-len(strips) % min(ROWS, len(strips)))
    strips = [*strips, *blank]
    return [column(strips[first : first + ROWS]) for first in range(0, len(strips), ROWS)]


def between(one: NDArray[np.float32], other: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """Points (steps, ...) on the straight line from one (...) to another, both ends included."""
    share = np.linspace(0, 1, steps, dtype=np.float32).reshape(-1, *[1] * one.ndim)
    return one + share * (other - one)


def interpolations(vision: VisionModel, known: Known) -> Frames:
    """Rows from one frame to another, both at the ends: through latents and, for comparison, by cross-fading."""
    rows = []
    for first, last in _pairs():
        made = pictures_of(vision, between(known.z[first], known.z[last], STEPS))
        if not known.encodes:
            rows.append(made)
            continue
        ends = known.frames[[first]], known.frames[[last]]
        faded = between(ends[0][0].astype(np.float32), ends[1][0].astype(np.float32), STEPS).astype(np.uint8)
        rows += [np.concatenate([ends[0], made, ends[1]]), np.concatenate([ends[0], faded, ends[1]])]
    return grid(rows)


def _pairs() -> list[tuple[int, int]]:
    """Frames that are far apart, by their places among those shown."""
    return [(first, first + SHOWN // 2) for first in range(PAIRS)]


def interpolation_frames(vision: VisionModel, known: Known, scale: int) -> Iterator[Frames]:
    """A journey through the latents of a few frames and back to the first."""
    stops = [place for pair in _pairs()[:2] for place in pair]
    for start, end in zip(stops, [*stops[1:], stops[0]], strict=True):
        path = between(known.z[start], known.z[end], VIDEO_STEPS + 1)[:-1]
        for number, picture in enumerate(pictures_of(vision, path)):
            panes, labels = [picture], ["through latents"]
            if known.encodes:
                panes, labels = [known.frames[start], picture, known.frames[end]], ["from", *labels, "to"]
            shown = labelled([enlarge(pane, scale) for pane in panes], labels, text_size(scale))
            yield captioned(shown, f"{number / VIDEO_STEPS:4.0%} of the way", vision.config.model, text_size(scale))
