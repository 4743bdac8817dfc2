import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodels.agent import load_parameters
from worldmodels.export import export_agent
from worldmodels.kept import CONTROLLER
from worldmodels.runs import Run
from worldmodels.tensors import save_tensors

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "step_size.py"


def test_a_step_that_candidates_show_gains_more_than_one_that_they_do_not(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the counting game an action is worth more the larger it is, and C begins at actions of zero."""
    export_agent(tiny_run, "real", tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / CONTROLLER
    save_tensors(path, {"parameters": torch.from_numpy(np.zeros_like(load_parameters(path)))})
    arguments = ["step_size.py", "--agent", tmp_path / "checkpoint", "--sigmas", 0.001, 0.3]
    arguments += ["--population", 32, "--rollouts", 3, "--generations", 2, "--episodes", 8, "--workers", 0]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert f"{len(load_parameters(path))} parameters of size 0.000 (root mean square), tried in: real" in lines[0]
    small, large = ([float(cell) for cell in line.replace(" to ", " ").split()] for line in lines[-2:])
    for row in (small, large):
        _, _, reliability, gain, low, high = row
        assert low <= gain <= high
        assert -1 <= reliability <= 1
    assert large[3] > 10 * abs(small[3])
    assert large[3] > 0
