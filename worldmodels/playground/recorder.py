"""A visitor's recording: frames kept while they are shown, and made into a GIF and an MP4 at the end."""

import shutil
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from worldmodels.pictures import Frames, enlarge
from worldmodels.render.layout import captioned, labelled, text_size
from worldmodels.render.video import write_video
from worldmodels.temporary import temporary_folder

MAX_SECONDS = 30.0
"""Length of a recording at most, at the game's own speed."""
SCALE = 6
LABELS = ("M's dream", "the game")


class Files(NamedTuple):
    """A finished recording as files."""

    gif: bytes
    mp4: bytes


class _Kept(NamedTuple):
    packed: bytes
    text: str
    note: str


class Recorder:
    """Keeps the frames of a recording, compressed: some 10 MB at most.

    Args:
        fps: frames a second.
        panes: 1 for the dream alone, 2 for the game beside it.
    """

    def __init__(self, fps: float, panes: int) -> None:
        self.fps, self.panes = fps, panes
        self._kept: list[_Kept] = []

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self._kept) / self.fps

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return self.seconds >= MAX_SECONDS

    def add(self, pictures: list[Frames], text: str, note: str) -> None:
        """Keep a moment: the dream's frame and perhaps the game's, and the texts under them at the left and right."""
        panes = (pictures + [np.zeros_like(pictures[0])] * self.panes)[: self.panes]
        self._kept.append(_Kept(zlib.compress(np.stack(panes).tobytes(), 1), text, note))

    def files(self) -> Files:
        """Encode it; this takes seconds. UserError if nothing was kept."""
        folder = temporary_folder("film")
        try:
            path = folder / "dream.mp4"
            write_video(path, self._pictures(), self.fps, gif=True)
            return Files(path.with_suffix(".gif").read_bytes(), path.read_bytes())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _pictures(self) -> Iterator[Frames]:
        size = text_size(SCALE) * 2 // 3
        for packed, text, note in self._kept:
            frames = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(self.panes, 64, 64, 3)
            panes = enlarge(frames, SCALE)
            yield captioned(labelled(list(panes), LABELS[: self.panes], size), text, note, size)
