"""Pictures of a tiny run's V."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from worldmodels.errors import UserError
from worldmodels.render import samples
from worldmodels.render.samples import sample_vision
from worldmodels.runs import Run
from worldmodels.vision.base import Posterior, VisionModel
from worldmodels.vision.train import trained_vision
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


def test_all_pictures_and_nothing_that_a_kill_left(run: Run) -> None:
    (run.folder / "samples").mkdir()
    (run.folder / "samples" / ".interpolation.mp4.123.tmp.mp4").touch()
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
    def blind(run: Run) -> VisionModel:
        vision = trained_vision(run)
        vision.encodes = False
        return vision

    monkeypatch.setattr(samples, "trained_vision", blind)
    monkeypatch.setattr(VAE, "encode", None)
    assert drawn(run) == PICTURES - {"reconstructions.png", "fitted.png"}
    assert "This vae has no encoder: it is drawn from its prior alone." in capsys.readouterr().err


def test_a_model_whose_latents_are_not_finite_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: VAE, frames: Tensor) -> Posterior:
        return Posterior(*torch.full((2, len(frames), self.latent_dim), torch.nan))

    monkeypatch.setattr(VAE, "encode", broken)
    with pytest.raises(UserError, match="values that are not finite"):
        sample_vision(run)


def test_without_a_v_there_is_nothing_to_draw(tiny_car_run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="V is missing"):
        sample_vision(Run(tmp_path / "run", tiny_car_run.config))
    assert not (tmp_path / "run").exists()
