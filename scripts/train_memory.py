"""Stage 3: encode the rollouts with V, train M on the latent sequences, and compare its dream with the game."""

from worldmodels.calibration import train_checked_memory
from worldmodels.cli import stage_main

if __name__ == "__main__":
    stage_main(train_checked_memory, ["task", "seed", "previous", "anew", "memory", "calibrate", "compute"])
