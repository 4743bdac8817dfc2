"""Draw what a run's V makes of frames, of its prior, and of every latent dimension."""

from worldmodels.cli import stage_main
from worldmodels.render.samples import sample_vision

if __name__ == "__main__":
    stage_main(sample_vision, ["seed", "render"])
