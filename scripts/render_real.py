"""Film an agent in the real game."""

from pathlib import Path

from worldmodels.cli import stage_main
from worldmodels.render import render_real

if __name__ == "__main__":
    which = (str, "real", "Name of the controller to film: one of those in the options.")
    folder = (Path | None, None, "Folder of a trained agent to film instead of one of the run.")
    stage_main(render_real, ["task", "evaluate", "render", "compute"], name=which, checkpoint=folder)
