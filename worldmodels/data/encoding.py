"""Rollouts through V: the posterior of every frame, once, for M to learn from."""

import dataclasses
import math
import os
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from worldmodels.config import VisionConfig
from worldmodels.data.arrays import open_array
from worldmodels.data.latents import FIELDS, FILES, Latents, latents_of
from worldmodels.data.prefetch import prefetch
from worldmodels.data.rollouts import Rollouts, rollouts_of
from worldmodels.disk import require_space
from worldmodels.errors import UserError
from worldmodels.files import read_json, write_json
from worldmodels.metrics import progress_bar
from worldmodels.runs import Run
from worldmodels.runtime import pick_device
from worldmodels.vision.base import VisionModel
from worldmodels.vision.train import trained_vision

CHUNK = 4096
"""Rows between two marks from which an interrupted encoding goes on."""
BATCH = 128


def encode_rollouts(run: Run, vision: VisionModel) -> Latents:
    """Encode the run's rollouts with its V, once, for its M to learn from; goes on where it was interrupted.

    What the same V has encoded already in the run that `collect.onto` names is copied. Raises UserError if the model
    does not encode.
    """
    if not vision.encodes:
        raise UserError(
            f"This {vision.config.model} has no encoder, so it cannot be V in an agent: "
            "train one with an encoder (a gan with vision.inversion above 0), or choose another vision.model."
        )
    stage = run.latents
    needs = [run.rollouts, run.vision]
    with stage.begin(run.made_from(), needs):
        if stage.done is None:
            rollouts = rollouts_of(run)
            known = None
            if not (stage.folder / "progress.json").exists():
                needed = latent_bytes(int(rollouts.starts[-1]), vision.latent_dim, rollouts.action_dim)
                require_space(stage.folder, needed, "The encoding of the rollouts", run.config.compute)
                known = _known(run, vision)
            _encode(rollouts, vision, stage.folder, pick_device(run.config.compute), known)
            stage.finish({"episodes": len(rollouts), "frames": int(rollouts.starts[-1])}, FILES)
        (stage.folder / "progress.json").unlink(missing_ok=True)
    return latents_of(run)


def _known(run: Run, vision: VisionModel) -> Latents | None:
    """Latents of another run that are what `vision` makes of the first of this run's rows; None if there are none.

    They are those of the run that `collect.onto` names, if its V is the same and they are of the rollouts that this
    run's were collected onto.
    """
    if run.config.collect.onto is None:
        return None
    before = Run(Path(run.config.collect.onto), run.config)
    if before.latents.done is None or before.vision.done is None:
        return None
    made_from = {"rollouts": run.rollouts.options().get("onto"), "vision": before.vision.fingerprint()}
    if before.latents.upstream != made_from or not _encode_alike(trained_vision(before), vision):
        return None
    before.latents.verify()
    return Latents(before.latents.folder)


def _encode_alike(one: VisionModel, other: VisionModel) -> bool:
    """Whether two models have the same weights, and the same options but for how long they have learned."""
    ours, theirs = one.state_dict(), other.state_dict()
    return dataclasses.replace(one.config, steps=other.config.steps) == other.config and all(
        torch.equal(ours[name], theirs[name]) for name in ours
    )


def _encode(rollouts: Rollouts, vision: VisionModel, folder: Path, device: torch.device, known: Latents | None) -> None:
    rows = int(rollouts.starts[-1])
    arrays = _open(folder, rows, vision.config, rollouts.action_dim)
    np.save(folder / "starts.npy", rollouts.starts)
    progress = folder / "progress.json"
    done = _encoded(progress, rows)
    vision = vision.to(device)
    with progress_bar("Encoding", rows, "frames", done) as bar:
        if known:
            done = _take_over(known, arrays, progress)
            bar.advance(done)
        for chunk, frames in prefetch(rollouts.frames, rollouts.chunks(CHUNK, done)):
            arrays["mu"][chunk], arrays["logvar"][chunk] = encode(vision, frames, device)
            for name, column in rollouts.steps(chunk).items():
                arrays[name][chunk] = column
            _mark(arrays, progress, chunk.stop)
            bar.advance(len(frames))


def _take_over(known: Latents, arrays: dict[str, NDArray], progress: Path) -> int:
    """Copy what is known, in whole chunks, so that all batches are those of an encoding of everything; returns rows."""
    rows = len(known.mu) // CHUNK * CHUNK
    for name, array in arrays.items():
        array[:rows] = getattr(known, name)[:rows]
    _mark(arrays, progress, rows)
    return rows


def _mark(arrays: dict[str, NDArray], progress: Path, rows: int) -> None:
    """Keep what has been written: an interrupted encoding goes on after so many rows."""
    for array in arrays.values():
        array.flush()  # type: ignore[attr-defined]  # mapped, because no rollouts are empty
    write_json(progress, {"rows": rows})


def _encoded(progress: Path, rows: int) -> int:
    """Rows that an interrupted encoding has written."""
    done = read_json(progress).get("rows") if progress.exists() else 0
    if not isinstance(done, int) or not 0 <= done <= rows:
        raise UserError(f"{progress} is damaged: delete {progress.parent} and encode again.")
    return done


def _shapes(rows: int, latent_dim: int, action_dim: int) -> dict[str, tuple[int, ...]]:
    return {
        "mu": (rows, latent_dim),
        "logvar": (rows, latent_dim),
        "action": (rows, action_dim),
        "reward": (rows,),
        "terminated": (rows,),
    }


def latent_bytes(rows: int, latent_dim: int, action_dim: int) -> int:
    """What the arrays of so many rows take on disk."""
    shapes = _shapes(rows, latent_dim, action_dim)
    return sum(math.prod(shape) * np.dtype(FIELDS[name][0]).itemsize for name, shape in shapes.items())


def _open(folder: Path, rows: int, config: VisionConfig, action_dim: int) -> dict[str, NDArray]:
    """The arrays to fill: new ones, or those of an interrupted encoding."""
    shapes = _shapes(rows, config.latent_dim, action_dim)
    arrays: dict[str, NDArray] = {}
    if (folder / "progress.json").exists():
        try:
            arrays = {name: open_array(folder / f"{name}.npy", *FIELDS[name], "r+") for name in shapes}
        except ValueError as error:
            raise UserError(f"{folder} holds no readable latents ({error}): delete it and encode again.") from error
        if any(arrays[name].shape != shape for name, shape in shapes.items()):
            raise UserError(f"{folder} is damaged: its arrays are of different lengths: delete it and encode again.")
        return arrays
    for name, shape in shapes.items():
        path, dtype = folder / f"{name}.npy", FIELDS[name][0]
        arrays[name] = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        # take the space now: on a full disk, a write to mapped memory ends in a signal
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return arrays


@torch.inference_mode()
def encode(
    vision: VisionModel, frames: NDArray[np.uint8], device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means and log-variances (N, Z) float32 of frames (N, 64, 64, 3)."""
    parts = []
    for batch in torch.from_numpy(frames).split(BATCH):
        posterior = vision.encode(batch.to(device))
        parts.append(torch.stack([posterior.mu, posterior.logvar]).cpu())
    mu, logvar = torch.cat(parts, 1).numpy()
    finite = np.isfinite(mu).all(1) & np.isfinite(logvar).all(1)
    if not finite.all():
        raise UserError(
            f"V encodes {(~finite).sum()} of {len(frames)} frames to values that are not finite, the first "
            f"of them number {int(finite.argmin()) + 1}: train it again with a lower vision.learning_rate."
        )
    return mu, logvar
