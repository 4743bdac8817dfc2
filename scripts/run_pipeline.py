"""All stages in order, from one set of options, as often as there are iterations, with a report at the end."""

from worldmodels.cli import stage_main
from worldmodels.pipeline import run_pipeline

if __name__ == "__main__":
    training = ["collect", "vision", "memory", "calibrate", "controllers"]
    iterating = ["previous", "anew", "iterations", "explorer"]
    stage_main(run_pipeline, ["task", "seed", *iterating, *training, "evaluate", "render", "compute"])
