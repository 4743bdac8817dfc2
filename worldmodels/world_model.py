"""V and M together, following a batch of running games: the world model that an agent carries."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.controller.form import features
from worldmodels.memory.mdn_rnn import MDNRNN, Prediction, State
from worldmodels.memory.stepper import Stepper
from worldmodels.noise import even, normal, uniform
from worldmodels.vision.base import VisionModel
from worldmodels.vision.packed import in_bfloat16

BLOCK = 16
"""Frames that V encodes at once: on a CPU, the gain of larger blocks is small, and every started block is paid for."""


class WorldModel:
    """What an agent sees and remembers in B games at once.

    Args:
        vision, memory: V and M, in evaluation mode.
        lanes: number of games B.
        inputs: what C sees: "z", "zh" or "zch".
        sample: let z be a sample of its posterior (as the paper's code does) rather than its mean.
        precision: arithmetic of V.

    Each step is `observe(frames)`, which gives what C sees, then `remember(actions)`. V and M compute blocks of
    `BLOCK` rows (or of all lanes, if there are fewer), so that a lane's numbers do not depend on the other lanes.
    """

    def __init__(
        self,
        vision: VisionModel,
        memory: MDNRNN,
        lanes: int,
        inputs: str = "zh",
        sample: bool = False,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.memory, self.inputs, self.sample = memory, inputs, sample
        self.vision = in_bfloat16(vision) if precision == torch.bfloat16 else vision
        self._block = min(BLOCK, lanes)
        self._stepper = Stepper(memory, block=self._block)
        self.state = memory.initial_state(lanes)
        self.z = torch.zeros(lanes, vision.latent_dim)
        self.seed = torch.zeros(lanes, dtype=torch.int64)
        self.step = torch.zeros(lanes, dtype=torch.int64)

    def reset(self, lanes: Bool[Tensor, " b"], seeds: list[int]) -> None:
        """Forget the games of the lanes marked true; `seeds` are those of the games that begin there."""
        keep = (~lanes)[:, None]
        self.state = State(self.state.h * keep, self.state.c * keep)
        self.seed[lanes] = torch.tensor(seeds, dtype=torch.int64)
        self.step[lanes] = 0

    @torch.inference_mode()
    def observe(self, frames: NDArray, lanes: NDArray[np.int64] | None = None) -> Float[Tensor, "b f"]:
        """See the frames (B, 64, 64, 3) of some lanes, of all by default; returns what C sees in all."""
        chosen = np.arange(len(frames)) if lanes is None else lanes
        self.z = self.z.clone()  # whoever holds the last one keeps it
        for first in range(0, len(chosen), self._block):
            part = chosen[first : first + self._block]
            # the last block is filled up with its first frame
            rows = np.concatenate([part, np.full(self._block - len(part), part[0])])
            self.z[part] = self._encode(frames, rows)[: len(part)]
        return features(self.inputs, self.z, self.state.h, self.state.c)

    def _encode(self, frames: NDArray, rows: NDArray[np.int64]) -> Float[Tensor, "n z"]:
        posterior = self.vision.encode(torch.from_numpy(frames[rows]))
        if not self.sample:
            return posterior.mu
        count = posterior.mu.shape[1]
        return posterior.sample(normal(uniform(self.seed[rows], self.step[rows], even(count)))[:, :count])

    @torch.inference_mode()
    def remember(self, actions: NDArray) -> None:
        """Take in the actions (B, A) chosen for what was last observed."""
        restart = (self.step == 0).float()
        self.state = State(self.state.h.clone(), self.state.c.clone())
        self._stepper.step(self.z, torch.from_numpy(actions), restart, *self.state)
        self.step += 1

    @torch.inference_mode()
    def predict(self) -> Prediction:
        """What M expects to observe next."""
        return self.memory.predict(self.state.h)
