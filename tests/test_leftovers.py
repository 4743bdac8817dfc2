"""What a test leaves behind is found, and what a fixture lends to it is not blamed on it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import leftovers
import pytest
from leftovers import Watch

from worldmodels.temporary import temporary_folder


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """A watch, after whose beginning a process has been started."""
    monkeypatch.setattr(leftovers, "PATIENCE", 0.2)
    watch = Watch()
    with subprocess.Popen(["sleep", "100"]) as process:
        yield watch
        process.kill()


def test_a_process_is_found_and_blamed_once(sleeper: Watch) -> None:
    [found] = sleeper.left(module_ends=False)
    assert found.startswith("process ")
    assert "sleep 100" in found
    assert sleeper.left(module_ends=True) == []


@pytest.mark.parametrize(("scope", "blamed"), [("module", True), ("session", False)])
def test_a_fixtures_process_may_stay_as_long_as_the_fixture(scope: str, blamed: bool, sleeper: Watch) -> None:
    sleeper.lend(scope)
    assert sleeper.left(module_ends=False) == []
    assert bool(sleeper.left(module_ends=True)) == blamed


def test_folders_of_this_process_and_of_dead_ones_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(leftovers, "PATIENCE", 0.0)
    watch = Watch()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine = temporary_folder("film")
    dead, alive = (mine.with_name(mine.name.replace(str(os.getpid()), str(pid))) for pid in (ended.pid, 1))
    dead.mkdir()
    alive.mkdir()
    assert watch.left(module_ends=False) == sorted([str(mine), str(dead)])


def test_what_goes_in_time_is_not_left(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    process = subprocess.Popen(["sleep", "0.3"])
    assert watch.left(module_ends=False) == []
    process.wait()
