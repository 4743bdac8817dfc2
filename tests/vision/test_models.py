"""Every built-in model through the stages, on the counting game."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from counting import tiny_config

from worldmodels.agent import blank_agent
from worldmodels.config import Config
from worldmodels.errors import UserError
from worldmodels.memory.train import train_memory, trained_memory
from worldmodels.metrics import read_metrics
from worldmodels.registry import BUILT_IN, vision_model, vision_options
from worldmodels.runs import Run
from worldmodels.vision.train import SAMPLES, STRIP, train_vision, trained_vision

ENCODER = {"gan": {"inversion": 0.5}}
"""What a model needs to be V in an agent."""


def options(name: str, **own: object) -> Config:
    config = tiny_config()
    vision = vision_options(name)(
        model=name, latent_dim=5, steps=6, batch=4, validate_every=3, validation_frames=6, **own
    )
    return replace(config, vision=vision)


@pytest.fixture
def collected(tiny_run: Run, tmp_path: Path) -> Path:
    """A run with rollouts only."""
    shutil.copytree(tiny_run.rollouts.folder, tmp_path / "run" / "rollouts")
    return tmp_path / "run"


@pytest.mark.parametrize("name", BUILT_IN)
def test_it_is_trained_and_used_by_m_and_in_the_dream(name: str, collected: Path) -> None:
    run = Run(collected, options(name, **ENCODER.get(name, {})))
    train_vision(run)
    train_memory(run)
    assert (run.vision.folder / STRIP).exists()
    assert (run.vision.folder / SAMPLES).exists() == vision_model(name).has_prior
    vision, (memory, _) = trained_vision(run), trained_memory(run)
    assert not vision.training
    assert memory.levels == vision.levels
    assert set(run.memory.summary()["baselines"]) == {"no_change", "no_memory"}
    dream = blank_agent(run, run.config.controllers["dream"]).dream_world(lanes=3, temperature=1.0)
    dream.reset(seed=[1, 2, 3])
    seen = dream.step(np.zeros((3, 1), np.float32))[0]
    assert np.isfinite(seen).all()
    assert torch.isfinite(vision.decode(torch.from_numpy(seen[:, :5]))).all()


def test_the_last_weights_of_an_adversarial_model_are_kept(collected: Path) -> None:
    run = Run(collected, options("bigan"))
    train_vision(run)
    assert run.vision.summary()["step"] == 6


def test_a_gan_without_an_encoder_is_trained_but_refused_by_m(collected: Path) -> None:
    run = Run(collected, options("gan"))
    train_vision(run)
    assert (run.vision.folder / SAMPLES).exists()
    assert not (run.vision.folder / STRIP).exists()
    with pytest.raises(UserError, match="This gan has no encoder, so it cannot be V in an agent"):
        train_memory(run)
    assert not (run.folder / "latents").exists()
    assert not (run.folder / "memory").exists()


def test_variety_and_accuracies_are_recorded(collected: Path) -> None:
    run = Run(collected, options("gan"))
    train_vision(run)
    recorded = {name for entry in read_metrics(run.vision.folder) for name in entry}
    names = ("accuracy_real", "accuracy_fake", "loss_generator", "loss_discriminator", "spread", "recall", "coverage")
    assert {f"validation/{name}" for name in names} <= recorded


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loss_that_is_no_number_says_where_and_keeps_nothing_bad(collected: Path) -> None:
    run = Run(collected, options("vae_gan", learning_rate=1e30, warm_up=0.5))
    with pytest.raises(UserError, match=r"V's loss became .* at step 3; there was no validation yet"):
        train_vision(run)
    assert not (run.vision.folder / "vision.safetensors").exists()


def test_codes_are_predicted_in_nats_of_their_cross_entropy(collected: Path) -> None:
    run = Run(collected, options("fsq", levels=4))
    train_vision(run)
    train_memory(run)
    assert 0 < run.memory.summary()["validation"]["nll"] < 2 * np.log(4)
