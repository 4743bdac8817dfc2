"""All stages in order, from one set of options, with a report at the end."""

from worldmodels.cli import stage_main
from worldmodels.pipeline import run_pipeline

if __name__ == "__main__":
    stage_main(
        run_pipeline,
        ["task", "seed", "collect", "vision", "memory", "calibrate", "controllers", "evaluate", "render", "compute"],
    )
