import dataclasses
import runpy
import sys
from pathlib import Path

import pytest

from worldmodels.evaluate import read_scores
from worldmodels.evolution.optimizers import OPTIMIZERS
from worldmodels.options import load_config, write_yaml
from worldmodels.runs import Run

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "baselines.py"


def test_every_controller_is_scored_from_every_seed(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tiny_run.config.controllers["real"]
    controllers = {"full": real, "layered": dataclasses.replace(real, inputs="z", hidden=3)}
    config = tmp_path / "tiny.yaml"
    config.write_text(write_yaml(dataclasses.replace(tiny_run.config, controllers=controllers)))
    arguments = ["baselines.py", "--to", tmp_path / "to", "--config", config, "--seeds", 1, 2]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    for _ in range(2):  # the second time everything is there
        runpy.run_path(str(SCRIPT), run_name="__main__")
        written = (tmp_path / "to" / "baselines.md").read_text()
        assert written in capsys.readouterr().out
        rows = [[cell.strip() for cell in line.strip("|\n ").split("|")] for line in written.splitlines()]
        assert [row[0] for row in rows[2:]] == ["full", "layered", "random policy"]
        for seed in (1, 2):
            folder = tmp_path / "to" / f"seed-{seed}"
            scores = read_scores(Run(folder, load_config([folder / "config.yaml"])))
            told = [f"{score.mean:.0f} ± {score.std:.0f}" for score in scores if score.world == "real"]
            assert [row[seed] for row in rows[2:]] == told


@pytest.mark.parametrize("preset", ["baselines", "optimizers"])
def test_controllers_differ_in_what_is_compared_alone(preset: str) -> None:
    config = load_config(["car_racing", preset])
    assert config == dataclasses.replace(load_config(["car_racing", "baselines"]), controllers=config.controllers)
    compared = {"inputs": "zh", "hidden": 0, "memory": "trained", "optimizer": "cma"}
    for controller in config.controllers.values():
        assert dataclasses.replace(controller, **compared) == config.controllers["full"]


def test_every_optimiser_is_compared() -> None:
    compared = load_config(["car_racing", "optimizers"]).controllers.values()
    assert {controller.optimizer for controller in compared} == set(OPTIMIZERS)
