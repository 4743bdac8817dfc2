import numpy as np
import pytest
import zstandard

from worldmodels.data.planes import FrameCompressor, FrameDecompressor

FRAME = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_a_blob_is_the_frames_planes_in_zstd() -> None:
    planes = np.frombuffer(zstandard.decompress(FrameCompressor()(FRAME)), np.uint8).reshape(3, 64, 64)
    assert np.array_equal(planes, FRAME.transpose(2, 0, 1))


@pytest.mark.parametrize("frame", [FRAME, FRAME[::-1, ::-1], np.asfortranarray(FRAME), np.zeros_like(FRAME)])
def test_frames_come_back(frame: np.ndarray) -> None:
    frames = np.ones((2, 64, 64, 3), np.uint8)
    FrameDecompressor().into(frames[1], FrameCompressor()(frame))
    assert np.array_equal(frames[1], frame)
    assert (frames[0] == 1).all()


def test_a_compressor_keeps_nothing_of_the_frame_before() -> None:
    compress = FrameCompressor()
    compress(255 - FRAME)
    assert compress(FRAME) == FrameCompressor()(FRAME)
