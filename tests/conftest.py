"""Shapes are checked while tests run, one thread computes, and a tiny run of the counting game is at hand."""

import os
import shutil
import sys
from pathlib import Path

import jaxtyping

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))  # for `counting` and `killing`, which child processes import as well
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(TESTS), str(TESTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)

CHECKED = ("vision", "image_gan", "memory", "dream", "calibration.prediction", "controller", "noise", "world_model")
jaxtyping.install_import_hook([f"worldmodels.{name}" for name in CHECKED], "beartype.beartype")

import pytest  # noqa: E402
import torch  # noqa: E402
from counting import tiny_config  # noqa: E402

from worldmodels.agent import Agent, agent_of_run  # noqa: E402
from worldmodels.collect import collect_rollouts  # noqa: E402
from worldmodels.evolution.train import train_controller  # noqa: E402
from worldmodels.memory.train import train_memory  # noqa: E402
from worldmodels.options import load_config  # noqa: E402
from worldmodels.runs import Run  # noqa: E402
from worldmodels.vision.train import train_vision  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    # Ray starts its servers by forking; what is forked is replaced by them at once and never touches Lance
    config.addinivalue_line("filterwarnings", "ignore:lance is not fork-safe:UserWarning")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured (`record_property("measured", ...)`)."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "measured":
                terminalreporter.write_line(f"{report.nodeid}: {value}")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of the counting game, all stages; not to be changed."""
    run = Run(tmp_path_factory.mktemp("tiny") / "run", tiny_config())
    collect_rollouts(run)
    train_vision(run)
    train_memory(run)
    for name in run.config.controllers:
        train_controller(run, name)
    return run


@pytest.fixture(scope="session")
def tiny_car_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A CarRacing run, with rollouts, the paper's V and M, that takes seconds; not to be changed."""
    tiny = {
        "collect": {"episodes": 4, "max_steps": 30},
        "vision": {"latent_dim": 4, "steps": 2, "batch": 4, "validate_every": 2, "validation_frames": 8},
        "memory": {"hidden": 8, "mixtures": 2, "steps": 2, "batch": 2, "sequence": 10, "validate_every": 2},
        "render": {"seconds": 0.2, "scale": 1, "dreams": 1, "gif": False},
        "measure": {"label_episodes": 2, "frames": 16},
        "compute": {"workers": 0, "device": "cpu", "precision": "float32"},
    }
    run = Run(tmp_path_factory.mktemp("car") / "run", load_config(["car_racing"], tiny))
    collect_rollouts(run)
    train_vision(run)
    train_memory(run)
    return run


@pytest.fixture(scope="session")
def tiny_agent(tiny_run: Run) -> Agent:
    """The tiny run's agent."""
    return agent_of_run(tiny_run, "real")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every disk is said to have nothing left."""
    monkeypatch.setattr("shutil.disk_usage", lambda place: shutil._ntuple_diskusage(1, 1, 0))
