import re
import subprocess
import sys
from pathlib import Path

import pytest

from worldmodels.runs import Run

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ppo_in_the_dream.py"


@pytest.mark.slow
def test_ppo_learns_in_the_dream_and_plays_the_game(tiny_run: Run) -> None:
    pytest.importorskip("stable_baselines3")
    script = f"import counting, runpy; runpy.run_path({str(EXAMPLE)!r}, run_name='__main__')"
    options = ["--run", tiny_run.folder, "--steps", "12000", "--horizon", "9", "--episodes", "64"]
    command = [sys.executable, "-c", script, *map(str, options)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    measured = re.findall(r"(before|after): (\S+) ± \S+ in 64 (dreams|games)", said.stdout)
    worlds = [(when, world) for when, _, world in measured]
    assert worlds == [("before", "dreams"), ("before", "games"), ("after", "dreams"), ("after", "games")]
    assert float(measured[2][1]) > float(measured[0][1])
