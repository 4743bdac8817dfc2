"""What V makes of frames and of points in its latent space, as pictures."""

from pathlib import Path

import numpy as np
import torch

from worldmodels.data.encoding import encode
from worldmodels.data.rollouts import rollouts_of, rows_of
from worldmodels.measure.fitted import fitted_samples
from worldmodels.metrics import say
from worldmodels.pictures import Frames, grid, write_png
from worldmodels.render.latent_space import (
    SHOWN,
    Known,
    interpolation_frames,
    interpolations,
    pictures_of,
    reconstructions,
    traversals,
)
from worldmodels.render.video import write_video
from worldmodels.runs import Run
from worldmodels.seeds import stream, torch_seed
from worldmodels.shared import shared_folder
from worldmodels.vision.base import VisionModel
from worldmodels.vision.train import split_of, trained_vision

SAMPLES = "samples"
GRID = 8
"""Samples along either side of a grid."""
VIDEO_RATE = 12.0
TRAINING_FRAMES = 2000
"""Training frames whose latents tell where latents lie."""


def sample_vision(run: Run) -> None:
    """Draw what the run's V makes of frames, of its prior, and of every latent dimension, into `samples/`.

    Writes `reconstructions.png`, `prior.png`, `fitted.png` (samples of a Gaussian fitted to the latents of frames),
    `traversals.png`, and `interpolation.png` and `.mp4`. A model that cannot encode is drawn from its prior alone.

    Raises:
        UserError: V is not finished.
    """
    vision = trained_vision(run)
    with shared_folder(run.folder / SAMPLES) as folder:
        _draw(run, vision, folder)


def _draw(run: Run, vision: VisionModel, folder: Path) -> None:
    scale = run.config.render.scale
    known = _known(run, vision)
    if known.encodes:
        _write(folder / "reconstructions.png", reconstructions(vision, known), scale // 2)
        random = stream(run.config.seed, "samples/fitted")
        drawn = fitted_samples(known.training, known.logvar, GRID * GRID, random)
        _write(folder / "fitted.png", grid(np.split(pictures_of(vision, drawn), GRID)), scale // 2)
    if vision.has_prior:
        drawn = vision.prior(GRID * GRID, torch_seed(run.config.seed, "samples/prior")).numpy()
        _write(folder / "prior.png", grid(np.split(pictures_of(vision, drawn), GRID)), scale // 2)
    else:
        say(f"The model {vision.config.model} has no prior: see fitted.png, samples of a Gaussian fitted to latents.")
    _write(folder / "traversals.png", traversals(vision, known), scale // 3)
    _write(folder / "interpolation.png", interpolations(vision, known), scale // 2)
    path = folder / "interpolation.mp4"
    write_video(path, interpolation_frames(vision, known, scale), VIDEO_RATE, run.config.render.gif)
    say(f"Wrote {path}")


def _write(path: Path, picture: Frames, scale: int) -> None:
    write_png(path, picture, max(1, scale))
    say(f"Wrote {path}")


def _known(run: Run, vision: VisionModel) -> Known:
    """Held-out frames and latents of the run's V."""
    rollouts = rollouts_of(run)
    training, validation = split_of(run, len(rollouts))
    rows = rows_of(rollouts.starts, validation)
    frames = rollouts.frames(rows[np.linspace(0, len(rows) - 1, SHOWN + 2).astype(int)[1:-1]])
    if not vision.encodes:
        say(f"This {vision.config.model} has no encoder: it is drawn from its prior alone.")
        z, mu = (
            vision.prior(count, torch_seed(run.config.seed, "samples/latents", count)).numpy()
            for count in (SHOWN, TRAINING_FRAMES)
        )
        return Known(frames, z, mu, np.full_like(mu, -np.inf), encodes=False)
    rows = rows_of(rollouts.starts, training)
    cpu = torch.device("cpu")
    z, _ = encode(vision, frames, cpu)
    chosen = np.sort(stream(run.config.seed, "samples/latents").choice(rows, min(TRAINING_FRAMES, len(rows)), False))
    mu, logvar = encode(vision, rollouts.frames(chosen), cpu)
    return Known(frames, z, mu, logvar, encodes=True)
