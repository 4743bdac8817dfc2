import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from worldmodels.agent import load_agent
from worldmodels.errors import UserError
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


@pytest.mark.parametrize("to", ["file/mine", "m" * 300])
def test_a_folder_that_cannot_be_made_is_a_sentence(to: str, tiny_run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be made: .*; give another one with --to\.$"):
        export_agent(tiny_run, "real", tmp_path / to)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_controller_that_was_put_aside_can_be_exported(tiny_run: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", tiny_run.config)
    shutil.copytree(tiny_run.folder, run.folder)
    (run.folder / "controllers" / "real").rename(run.folder / "controllers" / "best")
    export_agent(run, "best", tmp_path / "mine")
    assert load_agent(tmp_path / "mine").config.world == "real"
    assert "the agent best" in (tmp_path / "mine" / "README.md").read_text()
