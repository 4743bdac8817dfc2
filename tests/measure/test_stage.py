"""All measures of tiny runs: of CarRacing, of a game that tells nothing, and of a V that cannot encode."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from worldmodels.collect import collect_rollouts
from worldmodels.errors import UserError
from worldmodels.measure import measure_vision, stage
from worldmodels.measure.stage import flat
from worldmodels.memory.train import train_memory
from worldmodels.options import load_config
from worldmodels.runs import Run
from worldmodels.vision import register_vision
from worldmodels.vision.base import Posterior
from worldmodels.vision.train import train_vision
from worldmodels.vision.vae import VAE

LABELS = {"speed", "steering", "distance", "grass", "heading", "bend"}


@register_vision("blind")
class Blind(VAE):
    """It learns as the VAE does, and then does not encode; it has no prior either."""

    has_prior = False

    def encode(self, frames: Tensor) -> Posterior:
        raise UserError("A blind model cannot be V.")

    def validate(self, frames: Tensor, seed: int) -> dict[str, Tensor]:
        return {"loss": torch.zeros(())}


def car_run(folder: Path) -> Run:
    tiny = {
        "collect": {"episodes": 4, "max_steps": 30},
        "vision": {"latent_dim": 4, "steps": 2, "batch": 4, "validate_every": 2, "validation_frames": 8},
        "memory": {"hidden": 8, "mixtures": 2, "steps": 2, "batch": 2, "sequence": 10, "validate_every": 2},
        "measure": {"label_episodes": 2, "frames": 16, "starts": 5, "horizons": [1, 4]},
        "compute": {"workers": 0, "device": "cpu", "precision": "float32"},
    }
    return Run(folder, load_config(["car_racing"], tiny))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A CarRacing run with V, without M."""
    run = car_run(tmp_path_factory.mktemp("measures") / "run")
    collect_rollouts(run)
    train_vision(run)
    return run


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
    assert set(again["prediction"]["ahead"]) == {"1", "4"}
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
    shutil.copytree(run.rollouts.folder, tmp_path / "run" / "rollouts")
    vision = dataclasses.replace(run.config.vision, model="blind")
    blind = Run(tmp_path / "run", dataclasses.replace(run.config, vision=vision))
    monkeypatched = pytest.MonkeyPatch()
    monkeypatched.setattr("worldmodels.vision.train.write_strip", lambda *_: None)
    train_vision(blind)
    monkeypatched.undo()
    found = measure_vision(blind)
    assert set(found["samples"]) == {"real"}
    assert set(found["reconstruction"]) == {"average_frame"}
    assert found["probes"] == {}
    assert found["notes"][0] == "A blind model cannot be V."
    assert "no prior" in found["notes"][1]


def test_a_game_without_labels_is_measured_without_them(tiny_run: Run, tmp_path: Path) -> None:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    run = Run(tmp_path / "run", tiny_run.config)
    found = measure_vision(run)
    assert found["probes"] == {}
    assert found["objects"] is None
    assert found["prediction"]["ahead"] == {}
    assert any("20 steps" in note for note in found["notes"])
    assert all(isinstance(value, float) for _, value in flat(found))


def test_without_a_v_there_is_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="V is missing"):
        measure_vision(car_run(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
