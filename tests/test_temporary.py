import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from worldmodels import janitor
from worldmodels.janitor import PLACE, clear_up_after
from worldmodels.temporary import temporary_folder

OTHER = "0" * len(PLACE)


def test_folders_of_killed_processes_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = [
        f"worldmodels-ray-{os.getpid()}-{PLACE}-0",
        "worldmodels-ray-mine",
        f"worldmodels-doom-{ended.pid}-{PLACE}-0",
        f"worldmodels-ray-{ended.pid}-{OTHER}-0",  # of another host or container, where such a process may live
        f"worldmodels-ray-{ended.pid}-x",
    ]
    for name in (f"worldmodels-ray-{ended.pid}-{PLACE}-0", *kept):
        (tmp_path / name).mkdir()
    made = temporary_folder("ray")
    assert made.name == f"worldmodels-ray-{os.getpid()}-{PLACE}-1"
    assert made.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in tmp_path.iterdir()} == {made.name, *kept}


def test_what_another_host_calls_by_the_same_number_is_not_cleared_up(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for place in (PLACE, OTHER):
        (tmp_path / f"worldmodels-ray-{ended.pid}-{place}-0").mkdir()
    clear_up_after(ended.pid, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"worldmodels-ray-{ended.pid}-{OTHER}-0"]


@pytest.mark.parametrize("change", ["host", "container", "no /proc"])
def test_hosts_and_containers_are_told_apart(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert janitor._place() == PLACE
    here = os.uname()

    def stat(path: str) -> os.stat_result:
        if change == "no /proc":
            raise FileNotFoundError(path)
        return os.stat_result([1] * 10)

    with monkeypatch.context() as elsewhere:
        if change == "host":
            elsewhere.setattr(os, "uname", lambda: os.uname_result([here[0], "elsewhere", *here[2:]]))
        else:
            elsewhere.setattr(os, "stat", stat)
        found = janitor._place()
    assert found != PLACE
    assert len(found) == len(PLACE)


def test_the_sockets_of_ray_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "getpid", lambda: 2**22)
    made = "/tmp/" + temporary_folder("ray").name
    assert len(f"{made}/session_2026-11-23_11-45-07_855283_{2**22}/sockets/plasma_store") < 104
