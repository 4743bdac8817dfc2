"""Shapes are checked while tests run, one thread computes, nothing is left behind, and tiny runs are at hand."""

import os
import shutil
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import jaxtyping

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))  # for `counting` and `killing`, which child processes import as well
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(TESTS), str(TESTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)

CHECKED = ("vision", "image_gan", "memory", "dream", "calibration.prediction", "controller", "noise", "world_model")
jaxtyping.install_import_hook([f"worldmodels.{name}" for name in CHECKED], "beartype.beartype")

import hypothesis  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from counting import tiny_config  # noqa: E402
from leftovers import Watch  # noqa: E402

from worldmodels.agent import Agent, agent_of_run  # noqa: E402
from worldmodels.collect import collect_rollouts  # noqa: E402
from worldmodels.evolution.train import train_controller  # noqa: E402
from worldmodels.memory.train import train_memory  # noqa: E402
from worldmodels.options import load_config  # noqa: E402
from worldmodels.runs import Run  # noqa: E402
from worldmodels.vision.train import train_vision  # noqa: E402

hypothesis.settings.register_profile("busy machine", deadline=None)  # how long an example takes is nobody's fault
hypothesis.settings.load_profile("busy machine")
WATCH = pytest.StashKey[Watch]()


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[WATCH] = Watch()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Generator[None]:
    result = yield
    if fixturedef.scope != "function":
        request.config.stash[WATCH].lend(fixturedef.scope)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Fail a test that leaves a process, shared memory or a temporary folder behind."""
    result = yield
    same_module = nextitem is not None and nextitem.getparent(pytest.Module) is item.getparent(pytest.Module)
    if left := item.config.stash[WATCH].left(not same_module):
        pytest.fail(f"left behind: {', '.join(left)}", pytrace=False)
    return result


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
