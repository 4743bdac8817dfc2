"""A controller goes on from the previous run's only where parameters mean the same in both."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from evolving import evolve
from numpy.typing import NDArray

from worldmodels.agent import blank_agent, load_parameters
from worldmodels.evolution.first_mean import first_mean
from worldmodels.export import export_agent
from worldmodels.kept import CONTROLLER, OPTIONS
from worldmodels.runs import Run


@pytest.fixture
def before(copy: Run) -> Run:
    """A finished run, one of whose controllers has an untrained M."""
    return evolve(copy, "blank", memory="untrained", generations=2)


@pytest.fixture
def after(before: Run, tmp_path: Path) -> Run:
    """A run of the same V and M that goes on from it."""
    for stage in (before.rollouts, before.vision, before.memory):
        shutil.copytree(stage.folder, tmp_path / "after" / stage.folder.name)
    return Run(tmp_path / "after", dataclasses.replace(before.config, previous=str(before.folder)))


def begins_at(run: Run, name: str, **options: object) -> NDArray[np.float32] | None:
    run = Run(run.folder, dataclasses.replace(run.config, **options))
    return first_mean(run, name, blank_agent(run, run.config.controllers[name]))


def act_otherwise(run: Run) -> None:
    """The run's actions become 0..1."""
    summary = run.rollouts.summary()
    run.rollouts.finish(summary | {"squash": summary["squash"] | {"low": [0], "clip": [True]}})


def test_a_c_that_sees_an_untrained_m_goes_on_only_with_the_same_seed(
    before: Run, after: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = load_parameters(before.controller("blank").folder / CONTROLLER)
    assert np.array_equal(begins_at(after, "blank"), kept)
    assert not capsys.readouterr().err
    assert begins_at(after, "blank", seed=after.config.seed + 1) is None
    assert "C blank begins at zero" in capsys.readouterr().err
    assert begins_at(after, "real", seed=after.config.seed + 1) is not None


def test_a_c_whose_outputs_mean_other_actions_begins_at_zero(
    before: Run, after: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = load_parameters(before.controller("real").folder / CONTROLLER)
    assert np.array_equal(begins_at(after, "real"), kept)
    act_otherwise(before)
    assert begins_at(after, "real") is None
    assert "no controller real that sees and does the same" in capsys.readouterr().err
    act_otherwise(after)
    assert np.array_equal(begins_at(after, "real"), kept)


def test_a_c_with_another_hidden_layer_begins_at_zero(after: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where it has as many parameters by chance."""
    other = dataclasses.replace(after.config.controllers["real"], hidden=1)
    assert begins_at(after, "real", controllers={"real": other}) is None
    assert "C real begins at zero" in capsys.readouterr().err


def test_what_actions_meant_is_not_asked_of_a_run_whose_rollouts_are_gone(before: Run, after: Run) -> None:
    shutil.rmtree(before.rollouts.folder)
    assert begins_at(after, "real") is not None


@pytest.mark.parametrize("name", ["real", "blank"])
def test_a_checkpoint_tells_what_actions_meant_but_not_the_seed(before: Run, after: Run, name: str) -> None:
    folder = before.folder.parent / "checkpoint"
    export_agent(before, name, folder)
    assert (begins_at(after, name, previous=str(folder)) is None) == (name == "blank")
    config = json.loads((folder / OPTIONS).read_text())
    config["squash"] |= {"low": [0], "clip": [True]}
    (folder / OPTIONS).write_text(json.dumps(config))
    assert begins_at(after, name, previous=str(folder)) is None
