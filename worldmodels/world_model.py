"""V and M together, following a batch of running games: the world model that an agent carries."""

import copy

import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.controller.linear import features
from worldmodels.memory.mdn_rnn import MDNRNN, Prediction, State
from worldmodels.noise import even, normal, uniform
from worldmodels.vision.base import VisionModel


class WorldModel:
    """What an agent sees and remembers in B games at once.

    Args:
        vision, memory: V and M, in evaluation mode.
        lanes: number of games B.
        inputs: what C sees: "z", "zh" or "zch".
        sample: let z be a sample of its posterior (as the paper's code does) rather than its mean.
        precision: arithmetic of V.

    Each step is `observe(frames)`, which gives what C sees, then `remember(actions)`. Batches are always of the full
    width, so that a lane's numbers do not depend on how many others are at work.
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
        # a copy, because `.to` would round the agent's own weights
        self.vision = vision if precision == torch.float32 else copy.deepcopy(vision).to(precision)
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
    def observe(self, frames: NDArray) -> Float[Tensor, "b f"]:
        """See frames (B, 64, 64, 3); returns what C sees."""
        posterior = self.vision.encode(torch.from_numpy(frames))
        self.z = posterior.mu
        if self.sample:
            count = posterior.mu.shape[1]
            self.z = posterior.sample(normal(uniform(self.seed, self.step, even(count)))[:, :count])
        return features(self.inputs, self.z, self.state.h, self.state.c)

    @torch.inference_mode()
    def remember(self, actions: NDArray) -> None:
        """Take in the actions (B, A) chosen for what was last observed."""
        restart = (self.step == 0).float()
        self.state = self.memory.step(self.z, torch.from_numpy(actions), restart, self.state)
        self.step += 1

    @torch.inference_mode()
    def predict(self) -> Prediction:
        """What M expects to observe next."""
        return self.memory.predict(self.state.h)
