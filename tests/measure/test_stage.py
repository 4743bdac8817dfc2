"""All measures of tiny runs: of CarRacing, of a game that tells nothing, and of a V that cannot encode."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.data.rollouts import rollouts_of
from worldmodels.errors import UserError
from worldmodels.measure import measure_vision, stage
from worldmodels.measure.stage import flat
from worldmodels.memory.train import train_memory
from worldmodels.runs import Run
from worldmodels.vision import register_vision
from worldmodels.vision.base import Posterior
from worldmodels.vision.train import train_vision
from worldmodels.vision.vae import VAE, VAEConfig

LABELS = {"speed", "steering", "distance", "grass", "heading", "bend"}


@register_vision("blind")
class Blind(VAE):
    """It learns as the VAE does, and then does not encode; it has no prior either."""

    has_prior = False

    def __init__(self, config: VAEConfig) -> None:
        super().__init__(config)
        self.encodes = False

    def encode(self, frames: Tensor) -> Posterior:
        raise UserError("A blind model cannot be V.")

    def validate(self, frames: Tensor, seed: int) -> dict[str, Tensor]:
        return {"loss": torch.zeros(())}


def copy_of(run: Run, folder: Path, *stages: str) -> Run:
    """A run with some stages of another."""
    for name in stages:
        shutil.copytree(run.folder / name, folder / name)
    return Run(folder, run.config)


@pytest.fixture(scope="module")
def run(tiny_car_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A CarRacing run with V, without M."""
    return copy_of(tiny_car_run, tmp_path_factory.mktemp("measures") / "run", "rollouts", "vision")


def test_v_alone_then_with_m(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    found = measure_vision(run)
    assert found["prediction"] is None
    assert "no M yet" in " ".join(found["notes"])
    assert set(found["probes"]) == LABELS
    assert set(found["reconstruction"]["vision"]) == {"frame", "objects", "elsewhere"}
    assert set(found["samples"]) == {"real", "reconstructions", "fitted", "prior"}
    assert "reconstruction.vision.objects" in capsys.readouterr().out
    train_memory(run)
    again = measure_vision(run)
    assert {name: again[name] for name in ("reconstruction", "samples", "probes")} == {
        name: found[name] for name in ("reconstruction", "samples", "probes")
    }
    assert set(again["prediction"]["ahead"]) == {"1", "5", "10", "20"}
    assert {"nll", "no_change", "no_memory", "gain"} < set(again["prediction"])
    assert json.loads((run.measures.folder / stage.MEASURES).read_text()) == json.loads(json.dumps(again))


def test_what_is_measured_is_not_measured_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first = measure_vision(run)
    monkeypatch.setattr(stage, "_Measuring", None)
    assert measure_vision(run) == json.loads(json.dumps(first))
    other = Run(run.folder, dataclasses.replace(run.config, measure=dataclasses.replace(run.config.measure, frames=17)))
    with pytest.raises(TypeError, match="not callable"):
        measure_vision(other)


def test_a_model_that_cannot_encode_is_measured_by_its_samples(run: Run, tmp_path: Path) -> None:
    blind = copy_of(run, tmp_path / "run", "rollouts")
    blind.config = dataclasses.replace(run.config, vision=dataclasses.replace(run.config.vision, model="blind"))
    train_vision(blind)
    found = measure_vision(blind)
    assert set(found["samples"]) == {"real"}
    assert set(found["reconstruction"]) == {"average_frame"}
    assert found["probes"] == {}
    assert found["notes"][0] == "This blind has no encoder: only its samples are measured."
    assert "no prior" in found["notes"][1]


def test_a_v_whose_latents_are_not_finite_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: VAE, frames: Tensor) -> Posterior:
        return Posterior(*torch.full((2, len(frames), self.latent_dim), torch.nan))

    monkeypatch.setattr(VAE, "encode", broken)
    with pytest.raises(UserError, match="values that are not finite"):
        measure_vision(copy_of(run, tmp_path / "run", "rollouts", "vision"))


def test_m_looks_ahead_in_episodes_of_every_part(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def errors(*given: object) -> list[object]:
        seen.append(np.array(given[4]).tolist())
        return []

    monkeypatch.setattr(stage, "split_of", lambda *_: (np.array([0, 2]), np.array([1, 3, 5, 7, 9, 11])))
    monkeypatch.setattr(stage, "HELD_OUT", 3)
    monkeypatch.setattr(stage, "prediction_errors", errors)
    measure_vision(copy_of(tiny_run, tmp_path / "run", "rollouts", "vision", "latents", "memory"))
    assert seen == [[1, 5, 11]]


def test_a_game_without_labels_is_measured_without_them(tiny_run: Run, tmp_path: Path) -> None:
    run = copy_of(tiny_run, tmp_path / "run", "rollouts", "vision", "latents", "memory")
    found = measure_vision(run)
    assert found["probes"] == {}
    assert found["objects"] is None
    assert "The game tells no state, or not that of these episodes, so nothing is probed." in found["notes"]
    assert set(found["prediction"]["ahead"]) == {"1", "5"}  # episodes last for 9 steps at most
    assert all(isinstance(value, float) for _, value in flat(found))


def test_a_single_held_out_frame_is_too_few(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = copy_of(tiny_run, tmp_path / "run", "rollouts", "vision")
    (short,) = np.flatnonzero(rollouts_of(run).lengths == 1)[:1]
    monkeypatch.setattr(stage, "split_of", lambda *_: (np.setdiff1d(np.arange(12), short), np.array([short])))
    with pytest.raises(UserError, match=r"training and 1 held-out frames are too few to measure V by"):
        measure_vision(run)


def test_without_a_v_there_is_nothing_to_measure(tiny_car_run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="V is missing"):
        measure_vision(Run(tmp_path / "run", tiny_car_run.config))
    assert not (tmp_path / "run").exists()
