"""Rollouts through V: once, finite, and not again what the same V has encoded in the run before."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.collect import collect_rollouts
from worldmodels.config import VisionConfig
from worldmodels.data import encoding
from worldmodels.data.encoding import encode, encode_rollouts
from worldmodels.errors import UserError
from worldmodels.iterations import next_run
from worldmodels.runs import Run
from worldmodels.vision import Posterior, VisionModel
from worldmodels.vision.train import train_vision, trained_vision


def test_rollouts_are_encoded_once(tiny_run: Run) -> None:
    before = (tiny_run.latents.folder / "mu.npy").stat().st_mtime_ns
    encode_rollouts(tiny_run, trained_vision(tiny_run))
    assert (tiny_run.latents.folder / "mu.npy").stat().st_mtime_ns == before


class Broken(VisionModel):
    def encode(self, frames: Tensor) -> Posterior:
        return Posterior(torch.full((len(frames), 2), float("nan")), torch.zeros(len(frames), 2))


def test_latents_that_are_not_finite_are_refused() -> None:
    with pytest.raises(UserError, match=r"encodes 3 of 3 frames to .* not finite, the first of them number 1:"):
        encode(Broken(VisionConfig(latent_dim=2)), np.zeros((3, 64, 64, 3), np.uint8), torch.device("cpu"))


def test_encoding_does_not_depend_on_the_size_of_batches(monkeypatch: pytest.MonkeyPatch, tiny_run: Run) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), dtype=np.uint8)
    vision, cpu = trained_vision(tiny_run), torch.device("cpu")
    whole, _ = encode(vision, frames, cpu)
    monkeypatch.setattr("worldmodels.data.encoding.BATCH", 3)
    parts, _ = encode(vision, frames, cpu)
    assert np.array_equal(whole, parts)


class Counted:
    """V's encoding, counting its frames."""

    def __init__(self) -> None:
        self.frames = 0

    def __call__(self, vision: VisionModel, frames: np.ndarray, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
        self.frames += len(frames)
        return encode(vision, frames, device)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    count = Counted()
    monkeypatch.setattr(encoding, "encode", count)
    monkeypatch.setattr(encoding, "CHUNK", 16)
    return count


def following(before: Run, folder: Path, **vision: object) -> Run:
    """A run with one more episode than the one before, and with a V that learned on for no steps, or for some."""
    run = next_run(before, "real", folder)
    collect = dataclasses.replace(run.config.collect, episodes=1)
    vision_config = dataclasses.replace(run.config.vision, **vision)
    run = Run(folder, dataclasses.replace(run.config, collect=collect, vision=vision_config))
    collect_rollouts(run)
    train_vision(run)
    return run


def test_what_the_same_v_has_encoded_before_is_taken_over(tiny_run: Run, tmp_path: Path, counted: Counted) -> None:
    run = following(tiny_run, tmp_path / "next", steps=0)
    latents = encode_rollouts(run, trained_vision(run))
    known = int(tiny_run.rollouts.summary()["frames"])
    assert counted.frames == len(latents.mu) - known // 16 * 16 > 0
    taken = {name: np.array(getattr(latents, name)) for name in ("mu", "logvar", "action", "reward", "starts")}
    shutil.rmtree(run.latents.folder)
    alone = Run(run.folder, dataclasses.replace(run.config, collect=dataclasses.replace(run.config.collect, onto=None)))
    encoded = encode_rollouts(alone, trained_vision(alone))
    assert counted.frames == 2 * len(latents.mu) - known // 16 * 16
    for name, array in taken.items():
        assert np.array_equal(array, getattr(encoded, name)), name


@pytest.mark.parametrize("change", ["weights", "rollouts", "unfinished"])
def test_what_may_be_otherwise_is_encoded_again(tiny_run: Run, tmp_path: Path, counted: Counted, change: str) -> None:
    before = Run(tmp_path / "before", tiny_run.config)
    shutil.copytree(tiny_run.folder, before.folder)
    run = following(before, tmp_path / "next", steps=int(change == "weights"))
    if change == "rollouts":  # more of them since, all encoded
        collect = dataclasses.replace(before.config.collect, episodes=before.config.collect.episodes + 1)
        before = Run(before.folder, dataclasses.replace(before.config, collect=collect))
        collect_rollouts(before)
        shutil.rmtree(before.latents.folder)
        encode_rollouts(before, trained_vision(before))
        counted.frames = 0
    elif change == "unfinished":
        (before.latents.folder / "done.json").unlink()
    latents = encode_rollouts(run, trained_vision(run))
    assert counted.frames == len(latents.mu)
