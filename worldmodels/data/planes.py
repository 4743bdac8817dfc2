"""A frame as bytes on disk: its three colour planes, one after the other, in one zstd blob.

Neighbours in a plane are alike: planes take a tenth less room than interleaved colours, and a third to nine tenths of
the time. The blob ends with a checksum, without which a flipped bit may change a picture and nothing else.
"""

import cv2
import numpy as np
import zstandard
from numpy.typing import NDArray

from worldmodels.envs.frames import SHAPE

FRAME_BYTES = int(np.prod(SHAPE))
HEIGHT, WIDTH, COLOURS = SHAPE
TUNED = zstandard.ZstdCompressionParameters.from_level(
    1, source_size=FRAME_BYTES, hash_log=12, chain_log=10, min_match=7, write_checksum=True
)


class FrameCompressor:
    """Makes blobs of frames; not for several threads at once."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdCompressor(compression_params=TUNED)
        self._planes = np.empty((COLOURS, HEIGHT, WIDTH), np.uint8)

    def __call__(self, frame: NDArray[np.uint8]) -> bytes:
        """The blob of a frame (64, 64, 3)."""
        cv2.split(frame, list(self._planes))
        return self._zstd.compress(self._planes.data)


class FrameDecompressor:
    """Makes frames of blobs; not for several threads at once."""

    def __init__(self) -> None:
        self._zstd = zstandard.ZstdDecompressor()

    def into(self, frame: NDArray[np.uint8], blob: bytes | memoryview) -> None:
        """Fill a frame (64, 64, 3), contiguous in memory; ValueError or ZstdError if the blob is not that of one."""
        if zstandard.frame_content_size(blob) != FRAME_BYTES:
            raise ValueError("it is not of 64x64 pixels")
        content = self._zstd.decompress(blob, allow_extra_data=False)
        planes = np.frombuffer(content, np.uint8).reshape(COLOURS, HEIGHT, WIDTH)
        cv2.merge(list(planes), frame)
