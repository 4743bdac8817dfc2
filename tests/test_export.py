import os
import subprocess
import sys
from pathlib import Path

import pytest

from worldmodels.export import export_agent
from worldmodels.runs import Run
from worldmodels.temporary import owner


def test_what_a_killed_export_left_is_removed(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = f".mine.{owner().replace(str(os.getpid()), str(ended.pid))}.tmp"
    kept = [f".mine.{owner()}1-x.tmp", f".mine.{ended.pid}-000000.tmp", f".yours.{ended.pid}.tmp", ".mine.tmp"]
    for name in (left, *kept):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    export_agent(tiny_run, "real", Path("mine"))
    assert {path.name for path in tmp_path.iterdir()} == {"mine", *kept}
