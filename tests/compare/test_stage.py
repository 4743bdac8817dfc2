"""A whole comparison of two models with two seeds on a tiny CarRacing, in seconds."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from worldmodels.compare import compare_vision
from worldmodels.compare.links import share_stage
from worldmodels.config import CompareConfig, ControllerConfig, EvaluateConfig
from worldmodels.errors import UserError
from worldmodels.runs import Run
from worldmodels.vision import register_vision
from worldmodels.vision.base import Posterior
from worldmodels.vision.vae import VAE, VAEConfig


@register_vision("sightless")
class Sightless(VAE):
    """It learns as the VAE does, and then does not encode."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__(config)
        self.encodes = False

    def encode(self, frames: Tensor) -> Posterior:
        raise UserError("A sightless model cannot be V.")

    def validate(self, frames: Tensor, seed: int) -> dict[str, Tensor]:
        return {"loss": torch.zeros(())}


def comparison(car: Run, folder: Path, models: tuple[str, ...], seeds: int) -> Run:
    controller = ControllerConfig(
        population=4, rollouts=1, generations=1, max_steps=4, validate_every=1, validation_episodes=1
    )
    config = dataclasses.replace(
        car.config,
        task=dataclasses.replace(car.config.task, max_steps=30),
        collect=dataclasses.replace(car.config.collect, max_steps=None),
        controllers={"real": controller},
        evaluate=EvaluateConfig(episodes=1, stock=False, worlds=("real",)),
        compare=CompareConfig(models=models, seeds=seeds),
    )
    return Run(folder, config)


@pytest.fixture(scope="module")
def run(tiny_car_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = comparison(tiny_car_run, tmp_path_factory.mktemp("compare") / "run", ("vae", "vae,beta=4"), 2)
    compare_vision(run)
    return run


def table(run: Run) -> dict:
    return json.loads((run.comparison.folder / "table.json").read_text())


def weights(run: Run) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in run.folder.rglob("*.safetensors")}


def test_every_model_and_seed_is_a_run_on_the_same_rollouts(run: Run) -> None:
    for model in ("vae", "vae_beta=4"):
        for seed in (1, 2):
            folder = run.folder / "models" / model / f"seed-{seed}"
            assert (folder / "rollouts").is_symlink()
            assert (folder / "rollouts").resolve() == run.rollouts.folder.resolve()
            assert (folder / "labels").resolve() == run.labels.folder.resolve()
            assert (folder / "measures" / "measures.json").is_file()
    one, two = ((run.folder / f"models/vae/seed-{s}/vision/vision.safetensors").read_bytes() for s in (1, 2))
    assert one != two


def test_the_table_holds_every_value_and_names_seeds_and_budgets(run: Run) -> None:
    told = table(run)
    assert {result["seed"] for result in told["results"]} == {1, 2}
    rows = {row["name"]: row for row in told["rows"]}
    assert set(rows["reconstruction.vision.frame"]["values"]) == {"vae", "vae,beta=4"}
    assert all(len(values) == 2 for values in rows["scores.real"]["values"].values())
    assert {"reconstruction.vision.objects", "probes.speed", "prediction.gain", "samples.prior.kid"} < set(rows)
    text = (run.comparison.folder / "table.md").read_text()
    assert "Seeds 1, 2; the same 4 episodes" in text
    assert "for all, 1 of them held out" in text
    assert "2 steps of 4 frames" in text
    assert "random policy" in text
    with Image.open(run.comparison.folder / "figure.png") as figure:
        assert figure.width > 1000


def test_what_is_done_is_not_done_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before, told = weights(run), table(run)
    compare_vision(run)
    assert weights(run) == before
    assert table(run) == told


def test_a_comparison_that_was_stopped_goes_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(run.folder, tmp_path / "run", symlinks=True)
    stopped = Run(tmp_path / "run", run.config)
    shutil.rmtree(stopped.folder / "models" / "vae" / "seed-2" / "memory")
    shutil.rmtree(stopped.folder / "models" / "vae_beta=4" / "seed-2")
    (stopped.folder / "models/vae/seed-2/measures/measures.json").unlink()
    shutil.rmtree(stopped.folder / "models/vae/seed-2/controllers")
    compare_vision(stopped)
    same = [{key: row[key] for key in ("name", "values", "estimates")} for row in table(stopped)["rows"]]
    assert same == [{key: row[key] for key in ("name", "values", "estimates")} for row in table(run)["rows"]]


def test_a_model_that_cannot_be_v_is_compared_by_its_samples(
    run: Run, tiny_car_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worldmodels.vision.train.write_strip", lambda *_: None)
    other = comparison(tiny_car_run, tmp_path / "run", ("sightless",), 1)
    compare_vision(other, rollouts=run.folder)
    assert other.rollouts.folder.resolve() == run.rollouts.folder.resolve()
    names = {row["name"] for row in table(other)["rows"]}
    assert names == {f"samples.prior.{key}" for key in ("kid", "precision", "recall")}
    assert "This sightless has no encoder" in (other.comparison.folder / "table.md").read_text()
    compare_vision(other)  # the link stays


def test_rollouts_of_another_game_are_refused(tiny_run: Run, tiny_car_run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"of another game: their task\.\w+ is"):
        compare_vision(comparison(tiny_car_run, tmp_path / "run", ("vae",), 1), rollouts=tiny_run.folder)


def test_a_model_that_does_not_exist_is_refused_before_any_work(tiny_car_run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no vision model vaw"):
        compare_vision(comparison(tiny_car_run, tmp_path / "run", ("vae", "vaw"), 1))
    assert not (tmp_path / "run").exists()


def test_a_stage_that_is_there_is_not_replaced_by_a_link(run: Run, tmp_path: Path) -> None:
    other = Run(tmp_path / "run", run.config)
    share_stage(other.rollouts, run.rollouts)
    share_stage(other.rollouts, run.rollouts)
    other.rollouts.folder.unlink()
    other.rollouts.folder.mkdir()
    with pytest.raises(UserError, match="is there already"):
        share_stage(other.rollouts, run.rollouts)
    with pytest.raises(UserError, match="The collection of rollouts is missing"):
        share_stage(other.rollouts, Run(tmp_path / "none", run.config).rollouts)
