"""Film an agent's dreams, and what M predicts of a real future."""

from pathlib import Path

from worldmodels.cli import stage_main
from worldmodels.render import render_dream

if __name__ == "__main__":
    which = (str, "real", "Name of the controller that dreams: one of those in the options.")
    folder = (Path | None, None, "Folder of a trained agent to film instead of one of the run.")
    stage_main(render_dream, ["task", "evaluate", "render", "compute"], name=which, checkpoint=folder)
