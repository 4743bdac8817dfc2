import numpy as np
import pytest

from worldmodels.measure.reconstruction import squared_error


def test_errors_inside_and_outside_of_the_masks() -> None:
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    frames[0, :8, :8] = 255
    masks = frames[..., 0] > 0
    pictures = np.zeros((2, 64, 64, 3), np.float32)
    pictures[1] = 0.5
    found = squared_error(pictures, frames, masks)
    assert found["objects"] == 1
    assert found["elsewhere"] == pytest.approx(0.25 * 4096 / (2 * 4096 - 64))
    assert found["frame"] == pytest.approx((64 + 0.25 * 4096) / (2 * 4096))


def test_a_perfect_picture_has_no_error() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    assert squared_error(frames.astype(np.float32) / 255, frames) == {"frame": 0}


def test_without_objects_nothing_is_said_of_them() -> None:
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    masks = np.zeros((1, 64, 64), bool)
    assert set(squared_error(np.ones((1, 64, 64, 3), np.float32), frames, masks)) == {"frame"}
