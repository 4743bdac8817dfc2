"""Compare M's dream with the game: scripted policies and agents in both, M's predictions, its heads."""

from worldmodels.calibration import check_dream
from worldmodels.cli import stage_main

if __name__ == "__main__":
    stage_main(check_dream, ["task", "calibrate", "compute"])
