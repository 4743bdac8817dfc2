"""What a kill leaves in a folder is removed by the next who writes there, unless somebody else does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worldmodels.errors import UserError
from worldmodels.shared import shared_folder

WRITER = """
import sys, time
from pathlib import Path
from worldmodels.files import atomic
from worldmodels.shared import shared_folder
with shared_folder(Path(sys.argv[1])) as folder, atomic(folder / "film.mp4") as temporary:
    temporary.write_bytes(b"half")
    print(temporary.name, flush=True)
    time.sleep(1000)
"""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_a_killed_writer_left_goes_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "videos"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        half = writer.stdout.readline().strip()
        try:
            assert half == f".film.mp4.{writer.pid}.tmp.mp4"
            (folder / "other.mp4").touch()
            with shared_folder(folder):
                assert names(folder) == {half, "other.mp4"}
        finally:
            writer.kill()
        writer.wait()
        assert names(folder) == {half, "other.mp4"}
        with shared_folder(folder):
            assert names(folder) == {"other.mp4"}


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr("fcntl.flock", refuse)
    (tmp_path / ".film.mp4.1.tmp.mp4").touch()
    with shared_folder(tmp_path):
        assert names(tmp_path) == {".film.mp4.1.tmp.mp4"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "videos").touch()
    with pytest.raises(UserError, match=r"videos cannot be made: File exists"), shared_folder(tmp_path / "videos"):
        pass


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    with shared_folder(tmp_path):
        pass
    assert before in (0, len(os.listdir("/proc/self/fd")))
