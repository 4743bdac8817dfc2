import dataclasses
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from counting import tiny_config
from PIL import Image
from torch import Tensor

from worldmodels.config import VisionConfig
from worldmodels.data.rollouts import Rollouts
from worldmodels.errors import UserError
from worldmodels.metrics import read_metrics
from worldmodels.options import load_config
from worldmodels.registry import BUILT_IN
from worldmodels.runs import Run
from worldmodels.vision.train import WEIGHTS, VisionTraining, train_vision, trained_vision


@pytest.fixture
def collected(tiny_run: Run, tmp_path: Path) -> Path:
    """A run with rollouts only."""
    shutil.copytree(tiny_run.rollouts.folder, tmp_path / "run" / "rollouts")
    return tmp_path / "run"


def trained(folder: Path, **options: object) -> Run:
    config = tiny_config()
    run = Run(folder, dataclasses.replace(config, vision=dataclasses.replace(config.vision, **options)))
    train_vision(run)
    return run


def test_the_kept_weights_are_those_with_the_lowest_validation_loss(tiny_run: Run) -> None:
    losses = {e["step"]: e["validation/loss"] for e in read_metrics(tiny_run.vision.folder) if "validation/loss" in e}
    assert sorted(losses) == [2, 4, 6]
    assert tiny_run.vision.summary()["step"] == min(losses, key=lambda step: losses[step])


def test_the_papers_vae_learns_the_counting_game(collected: Path) -> None:
    run = trained(collected, model="vae", steps=12, batch=8, validate_every=4, learning_rate=1e-3)
    losses = [e["validation/loss"] for e in read_metrics(run.vision.folder) if "validation/loss" in e]
    assert losses[-1] < 0.9 * losses[0]
    assert trained_vision(run).latent_dim == 5
    with Image.open(run.vision.folder / "reconstructions.png") as strip:
        assert strip.size == (2 * (10 * 66 - 2), 2 * (2 * 66 - 2))


@pytest.mark.parametrize("model", BUILT_IN)
def test_the_step_size_of_every_optimiser_falls_to_the_final_one(
    model: str, collected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates, learn = [], VisionTraining.learn

    def watched(training: VisionTraining, frames: Tensor) -> dict[str, Tensor]:
        metrics = learn(training, frames)
        rates.append([group["lr"] for optimizer in training.model.learners for group in optimizer.param_groups])
        return metrics

    monkeypatch.setattr(VisionTraining, "learn", watched)
    before = trained(collected, model=model, steps=1, learning_rate=1e-3)
    first = rates.pop()
    shutil.rmtree(before.vision.folder)
    trained(collected, model=model, steps=4, learning_rate=1e-3, final_learning_rate=1e-4)
    assert 1e-3 in first
    shares = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 4)) / 2 for step in range(1, 5)]
    assert np.array(rates) == pytest.approx(np.outer(shares, first))


def test_a_model_that_names_no_optimiser_refuses_a_falling_step_size(collected: Path) -> None:
    with pytest.raises(UserError, match=r"vision\.final_learning_rate: counter names no optimiser"):
        trained(collected, final_learning_rate=1e-5)


def test_a_finished_training_is_left_alone(collected: Path) -> None:
    before = (trained(collected).vision.folder / WEIGHTS).stat().st_mtime_ns
    assert (trained(collected, validate_every=1).vision.folder / WEIGHTS).stat().st_mtime_ns == before


def test_other_options_are_refused_by_name(collected: Path) -> None:
    trained(collected)
    with pytest.raises(UserError, match=r"vision\.batch = 4, and 5 is asked for"):
        trained(collected, batch=5)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loss_that_is_no_number_stops_with_a_sentence(collected: Path) -> None:
    with pytest.raises(UserError, match=r"V's loss became .* at step 6.*vision\.learning_rate"):
        trained(collected, model="vae", batch=2, learning_rate=1e30, validate_every=6)


@pytest.mark.parametrize("model", ["gan", "bigan"])
def test_a_single_frame_is_too_few_for_batch_normalisation(model: str) -> None:
    with pytest.raises(UserError, match=r"vision\.batch: input should be greater than or equal to 2, but it is 1"):
        load_config([], {"vision": {"model": model, "batch": 1}})


def test_frames_without_any_pattern_are_no_measure_of_artefacts(
    collected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rollouts, "frames", lambda _, rows: np.full((len(rows), 64, 64, 3), 9, np.uint8))
    recorded = read_metrics(trained(collected).vision.folder)
    assert any("validation/loss" in entry for entry in recorded)
    assert all(math.isfinite(value) for entry in recorded for value in entry.values())


def test_one_episode_is_too_few_to_hold_one_out(tmp_path: Path) -> None:
    from worldmodels.collect import collect_rollouts

    run = Run(tmp_path, tiny_config(episodes=1))
    collect_rollouts(run)
    with pytest.raises(UserError, match="1 episodes are too few"):
        train_vision(run)


def test_the_vision_of_an_unfinished_run_is_refused(collected: Path) -> None:
    with pytest.raises(UserError, match="V is missing"):
        trained_vision(Run(collected, tiny_config()))


def test_training_does_not_depend_on_numpys_or_torchs_global_state(collected: Path, tmp_path: Path) -> None:
    import torch

    shutil.copytree(collected, tmp_path / "other")
    np.random.seed(1)  # noqa: NPY002  # the very thing
    one = trained(collected)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(99)
    two = trained(tmp_path / "other")
    assert (one.vision.folder / WEIGHTS).read_bytes() == (two.vision.folder / WEIGHTS).read_bytes()
    assert isinstance(one.config.vision, VisionConfig)
