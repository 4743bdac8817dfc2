from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from counting import Counting, episode_length, tiny_config
from PIL import Image

from worldmodels.config import Config, EvaluateConfig
from worldmodels.errors import UserError
from worldmodels.render.perturbations import render_perturbations
from worldmodels.runs import Run
from worldmodels.seeds import test_seeds


def drawn(folder: Path, *perturbations: str) -> np.ndarray:
    config = replace(tiny_config(), evaluate=EvaluateConfig(perturbations=perturbations))
    render_perturbations(Run(folder / "run", config), folder / "picture.png")
    with Image.open(folder / "picture.png") as picture:
        return np.asarray(picture)


def test_a_row_a_perturbation(tmp_path: Path) -> None:
    one, two = drawn(tmp_path, "bars"), drawn(tmp_path, "bars", "blob")
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] / one.shape[0] == pytest.approx(1.5, abs=0.05)
    assert not (tmp_path / "run").exists()


def test_moments_of_a_game_that_paints_over_its_frame_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = np.zeros((64, 64, 3), np.uint8)

    def painted(game: Counting) -> np.ndarray:
        canvas[:] = 100 + game.count
        return canvas

    monkeypatch.setattr(Counting, "_frame", painted)
    shown = set(drawn(tmp_path, "bars")[60, :, 0])
    lengths = [episode_length(seed) for seed in test_seeds(2)]
    assert {100 + count for length in lengths for count in range(length + 1)[-5:]} <= shown


def test_without_names_all_that_the_game_knows_are_drawn(tmp_path: Path) -> None:
    names = ("action_noise", "dropped_frames", "bars", "blob", "colour")
    assert np.array_equal(drawn(tmp_path), drawn(tmp_path, *names))


def test_a_missing_folder_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        render_perturbations(Run(tmp_path / "run", Config()), tmp_path / "nowhere" / "picture.png")
    with pytest.raises(UserError, match="is a folder, not a name for the picture"):
        render_perturbations(Run(tmp_path / "run", Config()), tmp_path)
    with pytest.raises(UserError, match="did you mean `blob`"):
        drawn(tmp_path, "blub")
