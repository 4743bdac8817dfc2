import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from worldmodels.temporary import temporary_folder


def test_folders_of_killed_processes_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kept = [f"worldmodels-ray-{os.getpid()}-x", "worldmodels-ray-mine", f"worldmodels-doom-{ended.pid}-x"]
    for name in (f"worldmodels-ray-{ended.pid}-x", *kept):
        (tmp_path / name).mkdir()
    made = temporary_folder("ray")
    assert made.name.startswith(f"worldmodels-ray-{os.getpid()}-")
    assert {path.name for path in tmp_path.iterdir()} == {made.name, *kept}
