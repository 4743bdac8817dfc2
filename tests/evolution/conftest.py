import shutil
from pathlib import Path

import pytest

from worldmodels.runs import Run


@pytest.fixture
def copy(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy of the tiny run, to be worked on."""
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    return Run(tmp_path / "run", tiny_run.config)
