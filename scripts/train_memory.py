"""Stage 3: encode the rollouts with V and train M on the latent sequences."""

from worldmodels.cli import stage_main
from worldmodels.memory.train import train_memory

if __name__ == "__main__":
    stage_main(train_memory, ["task", "seed", "memory", "compute"])
