import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from walking import Z, walk_memory, write_latents

from worldmodels.calibration.prediction import EPISODES as MANY
from worldmodels.calibration.prediction import HORIZONS, MOMENTS, prediction_errors
from worldmodels.config import VisionConfig
from worldmodels.data.episode import Episode
from worldmodels.data.latents import Latents
from worldmodels.data.planes import FrameCompressor
from worldmodels.data.rollouts import Rollouts, append_episodes
from worldmodels.vision.base import Posterior, VisionModel

LENGTHS = [80, 30, 120, 7]
EPISODES = np.arange(4)


class Shades(VisionModel):
    """A frame's left half is as bright as the first latent, its right half as the second; off by `fault` 255ths."""

    def __init__(self, fault: float = 0.0) -> None:
        super().__init__(VisionConfig(latent_dim=Z))
        self.fault = fault

    def encode(self, frames: Tensor) -> Posterior:
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        return ((z + self.fault) / 255).repeat_interleave(32, 1)[:, None, :, None].expand(-1, 64, -1, 3)


@pytest.fixture
def latents(tmp_path: Path) -> Latents:
    return write_latents(tmp_path, LENGTHS)


@pytest.fixture
def rollouts(latents: Latents, tmp_path: Path) -> Rollouts:
    """The frames that V would decode."""
    frames = np.rint(Shades().decode(torch.from_numpy(np.array(latents.mu))).numpy() * 255).astype(np.uint8)
    compress = FrameCompressor()
    packed = [compress(frame) for frame in frames]
    episodes = [
        Episode(1, packed[a:b], latents.action[a:b], latents.reward[a:b], False, True)
        for a, b in itertools.pairwise(latents.starts)
    ]
    append_episodes(tmp_path / "episodes.lance", episodes, 0)
    return Rollouts(tmp_path / "episodes.lance")


def test_an_m_that_knows_the_rule_makes_no_error(latents: Latents, rollouts: Rollouts) -> None:
    errors = prediction_errors(Shades(), walk_memory(latents), latents, rollouts, EPISODES, seed=1)
    assert [error.horizon for error in errors] == list(HORIZONS)
    for error in errors:
        assert error.latent < 0.02
        assert error.pixel < 0.3  # a shade is rounded
        assert error.pixel_vision == 0
        assert error.moments >= MANY * MOMENTS


def test_no_change_errs_by_what_was_walked(latents: Latents, rollouts: Rollouts) -> None:
    """Steps of -1, 0 and 1 have a variance of 2/3."""
    for error in prediction_errors(Shades(), walk_memory(latents), latents, rollouts, EPISODES, seed=1):
        assert error.latent_no_change == pytest.approx(np.sqrt(error.horizon * 2 / 3), rel=0.6)
        assert error.pixel_no_change == pytest.approx(error.latent_no_change, rel=1e-6)
    assert error.latent_no_change > 2


def test_a_noisy_m_is_judged_by_its_mean(latents: Latents, rollouts: Rollouts) -> None:
    """One step ahead the mean is exact; k steps ahead, 8 dreams' mean of k - 1 draws is left."""
    errors = prediction_errors(Shades(), walk_memory(latents, spread=0.5), latents, rollouts, EPISODES, seed=1)
    for error in errors:
        expected = 0.5 * np.sqrt((error.horizon - 1) / 8)
        assert error.latent == pytest.approx(expected, rel=0.25, abs=1e-6)


def test_vs_own_error_is_told_apart(latents: Latents, rollouts: Rollouts) -> None:
    for error in prediction_errors(Shades(fault=20), walk_memory(latents), latents, rollouts, EPISODES, seed=1):
        assert error.pixel_vision == 20
        assert error.pixel == pytest.approx(20, abs=0.3)
        assert error.latent < 0.02


def test_horizons_end_with_the_episodes(tmp_path: Path, latents: Latents, rollouts: Rollouts) -> None:
    for episodes, expected in (([3], [1, 5]), ([1, 3], [1, 5, 10, 20])):
        errors = prediction_errors(Shades(), walk_memory(latents), latents, rollouts, np.array(episodes), seed=1)
        assert [error.horizon for error in errors] == expected


def test_episodes_of_one_step_have_no_future(tmp_path: Path, rollouts: Rollouts) -> None:
    (tmp_path / "short").mkdir()
    latents = write_latents(tmp_path / "short", [1, 1])
    assert prediction_errors(Shades(), walk_memory(latents), latents, rollouts, np.arange(2), seed=1) == []
