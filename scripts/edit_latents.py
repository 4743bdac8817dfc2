"""Latent arithmetic: move frames and running dreams along attributes of the game's state."""

from worldmodels.cli import stage_main
from worldmodels.render.edit_stage import edit_latents

if __name__ == "__main__":
    stage_main(
        edit_latents,
        ["task", "seed", "measure", "render", "compute"],
        attributes=(tuple[str, ...], (), "Names of labels of the game's state, e.g. `distance grass`; all by default."),
        alpha=(float, 2.0, "Frames are moved by up to so many times an attribute's vector."),
        push=(float, 0.1, "Latents of a dream are moved by up to so many times the vector, every step."),
        name=(str | None, None, "Controller that acts in the dreams; by default the first that is finished."),
    )
