"""The Python that the guide prints, run as it stands: beside `checkpoints/`, and where `runs/mine` is a finished run.

Its own V is a package of somebody else's, and goes through every stage in `tests/vision/test_own_model.py`.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from worldmodels.runs import Run

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "guide.md").read_text(), re.S)


@pytest.mark.parametrize("code", [code for code in BLOCKS if "register_vision" not in code])
def test_what_the_guide_prints_runs(code: str, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints").symlink_to(ROOT / "checkpoints")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(tiny_run.folder)
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    exec(code, made)
    worlds = [made[name] for name in ("world", "dream", "env", "envs") if name in made]
    assert len(worlds) == 2
    for world in worlds:
        world.reset(seed=1)
        world.close()
