"""A walk whose next place is known: z' = z + a. Latents of it, and an M that knows the rule."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worldmodels.config import MemoryConfig
from worldmodels.data.latents import Latents
from worldmodels.memory.mdn_rnn import MDNRNN, Prediction, State
from worldmodels.memory.mixture import Mixture

Z = 2


def write_latents(folder: Path, lengths: Sequence[int], terminated: Sequence[bool] = ()) -> Latents:
    """Episodes of a walk that begins at (100, 150), in steps of -1, 0 or 1; rewards are random, latents certain."""
    random = np.random.default_rng(1)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    action = random.integers(-1, 2, (starts[-1], Z)).astype(np.float32)
    mu = np.zeros((starts[-1], Z), np.float32)
    ended = np.zeros(starts[-1], bool)
    for number, (first, last) in enumerate(itertools.pairwise(starts)):
        steps = np.concatenate([np.zeros((1, Z), np.float32), action[first : last - 1].cumsum(0)])
        mu[first:last] = np.array([100.0, 150.0], np.float32) + steps
        ended[last - 1] = bool(terminated) and terminated[number]
    arrays = {
        "mu": mu,
        "logvar": np.full_like(mu, -1000),
        "action": action,
        "reward": random.normal(size=starts[-1]).astype(np.float32),
        "terminated": ended,
        "starts": starts.astype(np.int64),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return Latents(folder)


class WalkMemory(MDNRNN):
    """Its state is the next place, c counts the steps; what it expects has a standard deviation of `spread`."""

    def __init__(self, config: MemoryConfig, spread: float) -> None:
        super().__init__(config, Z, Z)
        self.spread = spread
        torch.nn.init.zeros_(self.head.weight)

    def step(self, z: Tensor, action: Tensor, restart: Tensor, state: State) -> State:
        assert ((restart == 1) == (state.c[:, 0] == 0)).all()
        return State(z + action, state.c + 1)

    def predict(self, hidden: Tensor) -> Prediction:
        heads = super().predict(hidden)
        mean = hidden[..., None]
        log_sigma = torch.full_like(mean, np.log(self.spread))
        return heads._replace(mixture=Mixture(torch.zeros_like(mean), mean, log_sigma))


def walk_memory(latents: Latents, spread: float = 1e-3, **heads: bool) -> WalkMemory:
    """An M that knows the walk's rule; its heads say the same at every step."""
    config = MemoryConfig(hidden=Z, mixtures=1, **heads)
    return WalkMemory(config, spread).eval()
