"""Rollouts as V sees them: the posterior of every frame, beside actions, rewards and ends.

Plain memory-mapped arrays, a row a step: sequences of any length are read without a copy of the whole in memory.
"""

import math
import os
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from worldmodels.config import VisionConfig
from worldmodels.data.arrays import open_array
from worldmodels.data.prefetch import prefetch
from worldmodels.data.rollouts import Rollouts, rollouts_of
from worldmodels.disk import require_space
from worldmodels.errors import UserError
from worldmodels.files import read_json, write_json
from worldmodels.metrics import progress_bar
from worldmodels.runs import Run
from worldmodels.runtime import pick_device
from worldmodels.vision.base import Posterior, VisionModel

CHUNK = 4096
"""Rows between two marks from which an interrupted encoding goes on."""
BATCH = 128
FIELDS: dict[str, tuple[type[np.generic], int]] = {
    "mu": (np.float32, 2),
    "logvar": (np.float32, 2),
    "action": (np.float32, 2),
    "reward": (np.float32, 1),
    "terminated": (np.bool_, 1),
}
"""The arrays beside `starts`, with the types of their numbers and how many dimensions they have."""
FILES = tuple(f"{name}.npy" for name in (*FIELDS, "starts"))


class Latents:
    """Encoded episodes, opened for reading.

    Args:
        folder: where they are.
        noise: share of their posteriors' standard deviation with which latents are drawn, above 0.

    Attributes:
        mu, logvar: float32 (N, Z), posterior of each step's frame, as V has it.
        action: float32 (N, A), the action taken after it.
        reward: float32 (N,), the reward for that action.
        terminated: bool (N,), whether the game ended with that action.
        starts: int64 (E + 1,), the first row of each episode, and N.
    """

    def __init__(self, folder: Path, noise: float = 1.0) -> None:
        self.noise = noise
        try:
            self.mu, self.logvar, self.action, self.reward, self.terminated = (
                open_array(folder / f"{name}.npy", *FIELDS[name]) for name in FIELDS
            )
            starts = open_array(folder / "starts.npy", np.int64, 1)
            if len(starts) > len(self.mu) + 1:
                raise ValueError("it has more episodes than steps")
            self.starts: NDArray[np.int64] = np.array(starts)
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} holds no readable latents ({error}): delete it and encode again.") from error
        rows = {len(array) for array in (self.mu, self.logvar, self.action, self.reward, self.terminated)}
        ascend = len(self.starts) > 1 and self.starts[0] == 0 and (np.diff(self.starts) > 0).all()
        if not ascend or rows != {int(self.starts[-1])} or self.mu.shape != self.logvar.shape:
            raise UserError(f"{folder} is damaged: its arrays are of different lengths: delete it and encode again.")

    def posterior(self, rows: NDArray[np.int64]) -> Posterior:
        """Mean and log-variance (*rows.shape, Z) with which the latents of some rows are drawn."""
        mu, logvar = (torch.from_numpy(array[rows]) for array in (self.mu, self.logvar))
        return Posterior(mu, logvar + 2 * math.log(self.noise))

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self.starts) - 1

    @property
    def latent_dim(self) -> int:
        """Size of z."""
        return int(self.mu.shape[1])

    @property
    def action_dim(self) -> int:
        """Size of an action vector."""
        return int(self.action.shape[1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each episode, (E,)."""
        return np.diff(self.starts)


def encode_rollouts(run: Run, vision: VisionModel) -> Latents:
    """Encode the run's rollouts with its V, once, for its M to learn from; goes on where it was interrupted.

    Raises UserError if the model does not encode.
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
            if not (stage.folder / "progress.json").exists():
                needed = latent_bytes(int(rollouts.starts[-1]), vision.latent_dim, rollouts.action_dim)
                require_space(stage.folder, needed, "The encoding of the rollouts", run.config.compute)
            _encode(rollouts, vision, stage.folder, pick_device(run.config.compute))
            stage.finish({"episodes": len(rollouts), "frames": int(rollouts.starts[-1])}, FILES)
        (stage.folder / "progress.json").unlink(missing_ok=True)
    return latents_of(run)


def latents_of(run: Run) -> Latents:
    """The run's encoded episodes, with the noise that its M learns with."""
    return Latents(run.latents.folder, run.config.memory.latent_noise)


def _encode(rollouts: Rollouts, vision: VisionModel, folder: Path, device: torch.device) -> None:
    rows = int(rollouts.starts[-1])
    arrays = _open(folder, rows, vision.config, rollouts.action_dim)
    np.save(folder / "starts.npy", rollouts.starts)
    progress = folder / "progress.json"
    done = _encoded(progress, rows)
    vision = vision.to(device)
    with progress_bar("Encoding", rows, "frames", done) as bar:
        for chunk, frames in prefetch(rollouts.frames, rollouts.chunks(CHUNK, done)):
            arrays["mu"][chunk], arrays["logvar"][chunk] = encode(vision, frames, device)
            for name, column in rollouts.steps(chunk).items():
                arrays[name][chunk] = column
            for array in arrays.values():
                array.flush()  # type: ignore[attr-defined]  # mapped, because no rollouts are empty
            write_json(progress, {"rows": chunk.stop})
            bar.advance(len(frames))


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
