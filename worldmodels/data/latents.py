"""Rollouts as V sees them: the posterior of every frame, beside actions, rewards and ends.

Plain memory-mapped arrays, a row a step: sequences of any length are read without a copy of the whole in memory.
"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.data.arrays import open_array
from worldmodels.errors import UserError
from worldmodels.runs import Run
from worldmodels.vision.base import Posterior

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


def latents_of(run: Run) -> Latents:
    """The run's encoded episodes, with the noise that its M learns with."""
    return Latents(run.latents.folder, run.config.memory.latent_noise)
