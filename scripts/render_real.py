"""Film an agent in the real game."""

from worldmodels.cli import stage_main
from worldmodels.render import render_real

if __name__ == "__main__":
    which = (str, "real", "Name of the controller to film: one of those in the options.")
    stage_main(render_real, ["task", "seed", "evaluate", "render", "compute"], name=which)
