"""Frames to files: MP4 (H.264), streamed, and an animated GIF beside it."""

import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from PIL import Image

from worldmodels.errors import UserError
from worldmodels.files import atomic
from worldmodels.pictures import Frames

GIF_RATE = 10.0
"""A GIF shows at most so many frames a second: it keeps every n-th frame, at the video's own pace."""
GIF_WIDTH = 640
"""A GIF is at most so many pixels wide: a wider video is shrunk by a whole number."""
GIF_COLOURS = 128
MAX_SIDE = 16_384
"""The encoder takes no picture that is wider or higher, in pixels."""
BT709 = 1
"""Code of the colour matrix and primaries (ITU-T H.273), written into the file so that players agree on it."""
PALETTE_SAMPLES, PALETTE_COUNTS = 16, 8
"""So many frames make a GIF's palette, in which a colour counts at most so many times."""


def write_video(path: Path, frames: Iterable[Frames], fps: float, gif: bool = False) -> None:
    """Write frames as an MP4 that every browser plays, and if asked as a GIF of the same name; atomically.

    The MP4 is encoded while the frames come, so its memory does not grow with its length; a GIF's frames are held
    compressed.

    Args:
        path: name of the MP4.
        frames: uint8 (H, W, 3), all of one size; an odd height or width gets one more row or column.
        fps: frames a second.
        gif: write the GIF too, at a reduced rate.

    Raises:
        UserError: there is no frame, or frames are larger than a video's may be.
        ValueError: frames differ in size, or are not uint8 (H, W, 3).
    """
    kept = _Kept(fps) if gif else None
    checked = _checked(frames, path)
    with atomic(path) as temporary:
        _encode(temporary, kept.watch(checked) if kept else checked, fps)
        path.with_suffix(".gif").unlink(missing_ok=True)  # one of an earlier video
    if kept:
        with atomic(path.with_suffix(".gif")) as temporary:
            kept.write(temporary)


def _checked(frames: Iterable[Frames], path: Path) -> Iterator[Frames]:
    """The frames, padded to even sizes, if they are frames of one size."""
    shape: tuple[int, ...] = ()
    for frame in frames:
        shape = shape or frame.shape
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.shape != shape:
            raise ValueError(f"A frame of {path} is {frame.dtype} {frame.shape}, not uint8 {shape[:2]} x 3.")
        if max(shape) > MAX_SIDE:
            raise UserError(
                f"{path} would be {shape[1]:,} x {shape[0]:,} pixels, and a video may have {MAX_SIDE:,} on a side: "
                "lower render.scale, or show fewer render.dreams or render.temperatures."
            )
        yield np.pad(frame, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), mode="edge")
    if not shape:
        raise UserError(f"{path} would be empty: there is no frame to show.")


def _encode(path: Path, frames: Iterator[Frames], fps: float) -> None:
    first = next(frames)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1000), options={"crf": "18", "preset": "medium"}
        )
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = 1  # limited ("TV"), as players expect
        for frame in _chain(first, frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture.reformat(format="yuv420p", dst_colorspace=BT709)))
        container.mux(stream.encode())


def _chain(first: Frames, rest: Iterator[Frames]) -> Iterator[Frames]:
    yield first
    yield from rest


class _Kept:
    """The frames that a GIF shows, gathered while a video is made."""

    def __init__(self, fps: float) -> None:
        self.fps, self.every = fps, max(1, math.ceil(fps / GIF_RATE))
        self._packed: list[bytes] = []
        self._shape: tuple[int, ...] = ()

    def watch(self, frames: Iterable[Frames]) -> Iterator[Frames]:
        """The same frames; every n-th is kept."""
        for number, frame in enumerate(frames):
            if number % self.every == 0:
                small = np.asarray(Image.fromarray(frame).reduce(math.ceil(frame.shape[1] / GIF_WIDTH)))
                self._shape = small.shape
                self._packed.append(zlib.compress(small.tobytes(), level=1))
            yield frame

    def write(self, path: Path) -> None:
        """Write the GIF, which repeats for ever."""
        count = len(self._packed)
        samples = np.unique(np.linspace(0, count - 1, PALETTE_SAMPLES).astype(int))
        palette = common_palette([self._frame(i) for i in samples])
        pictures = (
            Image.fromarray(self._frame(i)).quantize(palette=palette, dither=Image.Dither.NONE) for i in range(count)
        )
        next(pictures).save(
            path,
            format="GIF",
            save_all=True,
            append_images=pictures,
            duration=[10 * delay for delay in gif_delays(count, self.every / self.fps)],
            loop=0,
            optimize=False,
        )

    def _frame(self, index: int) -> Frames:
        return np.frombuffer(zlib.decompress(self._packed[index]), np.uint8).reshape(self._shape)


def gif_delays(count: int, seconds: float) -> list[int]:
    """Delays of `count` frames of `seconds` each in hundredths of a second, rounded so that errors do not add up."""
    ends = [round(100 * seconds * number) for number in range(count + 1)]
    return [max(2, after - before) for before, after in pairwise(ends)]


def common_palette(frames: Sequence[Frames]) -> Image.Image:
    """A palette for all of the frames (H, W, 3) together.

    Colours count a few times at most: a small car is to keep its red in a wide green field.
    """
    pixels = np.concatenate([frame[::2, ::2].reshape(-1, 3) for frame in frames])
    coarse, counts = np.unique(pixels >> 2, axis=0, return_counts=True)
    colours = np.repeat(coarse << 2 | coarse >> 4, np.minimum(counts, PALETTE_COUNTS), axis=0)
    return Image.fromarray(colours[None]).quantize(GIF_COLOURS, method=Image.Quantize.MEDIANCUT)
