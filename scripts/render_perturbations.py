"""Draw what the perturbations of `evaluate.perturbations` do to what an agent sees."""

from pathlib import Path

from worldmodels.cli import stage_main
from worldmodels.render.perturbations import render_perturbations

if __name__ == "__main__":
    where = (Path, Path("perturbations.png"), "Name of the PNG.")
    stage_main(render_perturbations, ["task", "evaluate"], to=where)
