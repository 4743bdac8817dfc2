"""Stage 5: score agents on the test seeds, in the real game and in the dream."""

from pathlib import Path

from worldmodels.cli import stage_main
from worldmodels.evaluate import evaluate

if __name__ == "__main__":
    folder = (Path | None, None, "Folder of a trained agent to score instead of the run's own ones.")
    stage_main(evaluate, ["task", "evaluate", "compute"], checkpoint=folder)
