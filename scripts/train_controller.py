"""Stage 4: evolve C in the real game or in M's dream."""

from worldmodels.cli import stage_main
from worldmodels.evolution.train import train_controller

if __name__ == "__main__":
    which = (str, "real", "Name of the controller to evolve: one of those in the options.")
    stage_main(train_controller, ["task", "seed", "previous", "anew", "controllers", "compute"], name=which)
