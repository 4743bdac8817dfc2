import cv2
import numpy as np
import pytest
import torch

from worldmodels.measure.distances import kernel_distance
from worldmodels.measure.features import COMPONENTS, Features, RandomConvolutions


def scenes(count: int, seed: int) -> np.ndarray:
    """A road of some angle on grass, and a small red car."""
    random = np.random.default_rng(seed)
    frames = np.empty((count, 64, 64, 3), np.uint8)
    for frame in frames:
        frame[:] = (100, 200 + random.integers(20), 100)
        top, bottom = random.integers(0, 64, 2).tolist()
        cv2.line(frame, (top, 0), (bottom, 63), (105, 105, 105), 9)
        frame[50:58, 30:34] = (200, 0, 0)
    return frames


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return scenes(300, 0)


@pytest.fixture(scope="module")
def features(real: np.ndarray) -> Features:
    return Features(real)


def test_the_network_is_the_same_every_time() -> None:
    frames = torch.from_numpy(scenes(3, 1))
    torch.manual_seed(7)
    one = RandomConvolutions()(frames)
    assert one.shape == (3, 1600)
    assert torch.equal(one, RandomConvolutions()(frames))


def test_real_frames_are_whitened(real: np.ndarray, features: Features) -> None:
    points = features(real)
    assert points.shape == (300, COMPONENTS)
    assert np.abs(points.mean(0)).max() < 1e-2
    assert np.abs(np.cov(points, rowvar=False) - np.eye(COMPONENTS)).max() < 0.05


def test_what_is_worse_to_look_at_is_further_away(real: np.ndarray, features: Features) -> None:
    points, others = features(real), scenes(300, 2)
    without = others.copy()
    without[:, 50:58, 30:34] = without[:, 50:58, 36:40]

    def distance(frames: np.ndarray) -> float:
        return kernel_distance(points, features(frames))

    floor = abs(distance(others))
    soft, softer = (np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in others]) for sigma in (1, 2))
    noisy = np.clip(others + np.random.default_rng(3).normal(0, 10, others.shape), 0, 255).astype(np.uint8)
    assert distance(softer) > distance(soft) > 10 * floor
    assert distance(noisy) > 10 * floor
    assert distance(without) > 10 * floor


def test_few_or_equal_frames_are_no_error() -> None:
    for frames in (scenes(3, 0), np.zeros((5, 64, 64, 3), np.uint8)):
        assert np.isfinite(Features(frames)(scenes(2, 1))).all()
