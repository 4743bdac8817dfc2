"""Pictures of a tiny run's V."""

import shutil
from pathlib import Path

import pytest

from worldmodels.errors import UserError
from worldmodels.render.samples import sample_vision
from worldmodels.runs import Run
from worldmodels.vision.base import VisionModel
from worldmodels.vision.vae import VAE

PICTURES = {
    "reconstructions.png",
    "fitted.png",
    "prior.png",
    "traversals.png",
    "interpolation.png",
    "interpolation.mp4",
}


@pytest.fixture
def run(tiny_car_run: Run, tmp_path: Path) -> Run:
    for stage in ("rollouts", "vision"):
        shutil.copytree(tiny_car_run.folder / stage, tmp_path / "run" / stage)
    return Run(tmp_path / "run", tiny_car_run.config)


def drawn(run: Run) -> set[str]:
    sample_vision(run)
    assert all(path.stat().st_size > 100 for path in (run.folder / "samples").iterdir())
    return {path.name for path in (run.folder / "samples").iterdir()}


def test_all_pictures(run: Run) -> None:
    assert drawn(run) == PICTURES


def test_a_model_without_a_prior_is_not_sampled_from_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(VAE, "has_prior", False)
    assert drawn(run) == PICTURES - {"prior.png"}
    assert "no prior" in capsys.readouterr().err


def test_a_model_that_cannot_encode_is_drawn_from_its_prior(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: VisionModel, frames: object) -> None:
        raise UserError("It cannot encode.")

    monkeypatch.setattr(VAE, "encode", refuse)
    assert drawn(run) == PICTURES - {"reconstructions.png", "fitted.png"}
    assert "It cannot encode." in capsys.readouterr().err


def test_without_a_v_there_is_nothing_to_draw(tiny_car_run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="V is missing"):
        sample_vision(Run(tmp_path / "run", tiny_car_run.config))
    assert not (tmp_path / "run").exists()
