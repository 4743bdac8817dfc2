"""Stage 2: train V on the frames of the rollouts."""

from worldmodels.cli import stage_main
from worldmodels.vision.train import train_vision

if __name__ == "__main__":
    stage_main(train_vision, ["task", "seed", "previous", "anew", "vision", "compute"])
