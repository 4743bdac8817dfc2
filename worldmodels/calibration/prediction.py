"""How far M sees: its expectation some steps ahead of what happened, beside the guess that nothing changes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.data.latents import Latents
from worldmodels.data.rollouts import Rollouts
from worldmodels.memory.mdn_rnn import MDNRNN, State
from worldmodels.memory.mixture import expectation, sample
from worldmodels.memory.starts import remembered
from worldmodels.noise import even, normal, uniform
from worldmodels.seeds import stream
from worldmodels.vision.base import VisionModel, picture

HORIZONS = (1, 5, 10, 20, 50)
"""Steps ahead."""
EPISODES, MOMENTS = 32, 2
"""M looks ahead from so many moments of each of so many episodes."""
DREAMS = 8
"""Dreams from each moment."""


@dataclass(frozen=True)
class Error:
    """Root mean squared errors, `horizon` steps ahead of the same moments.

    Attributes:
        horizon: steps ahead.
        moments: number of moments.
        latent: of the latents that M expects, a dimension.
        latent_no_change: of the latents of the start.
        pixel: of the frames that V decodes from M's latents, in 255ths, against the game's own.
        pixel_no_change: of the frames that V decodes from the latents of the start.
        pixel_vision: of the frames that V decodes from the true latents: M's share is what is above it.
    """

    horizon: int
    moments: int
    latent: float
    latent_no_change: float
    pixel: float
    pixel_no_change: float
    pixel_vision: float


def prediction_errors(
    vision: VisionModel, memory: MDNRNN, latents: Latents, rollouts: Rollouts, episodes: NDArray[np.int64], seed: int
) -> list[Error]:
    """M's errors in some episodes, at each of `HORIZONS` that is within the longest of them.

    M follows an episode to a random moment. From there it dreams on at temperature 1, with the actions that were really
    taken; what it expects some steps ahead is the mean, over several such dreams, of its mixtures there.
    """
    lengths = latents.lengths[episodes]
    horizons = [horizon for horizon in HORIZONS if horizon < lengths.max()]
    if not horizons:
        return []
    rows, state = _moments(latents, memory, episodes[lengths > horizons[-1]], horizons[-1], seed)
    expected = _look_ahead(latents, memory, rows, state, horizons[-1])
    return [_error(vision, latents, rollouts, rows, expected[horizon - 1], horizon) for horizon in horizons]


def _moments(
    latents: Latents, memory: MDNRNN, episodes: NDArray[np.int64], horizon: int, seed: int
) -> tuple[NDArray[np.int64], State]:
    """Random moments of episodes that go on for `horizon` steps more, and M's state before each."""
    random = stream(seed, "calibration/moments")
    chosen = random.permutation(episodes)[:EPISODES]
    each = -(-EPISODES * MOMENTS // len(chosen))  # as many in all, where there are fewer episodes
    moments = random.integers(0, latents.lengths[chosen][:, None] - horizon, (len(chosen), each))
    return remembered(latents, memory, chosen, moments, seed)


@torch.inference_mode()
def _look_ahead(
    latents: Latents, memory: MDNRNN, rows: NDArray[np.int64], state: State, horizon: int
) -> list[Float[Tensor, "n z"]]:
    """The latents that M expects 1 to `horizon` steps after N rows, on the CPU."""
    device = memory.head.weight.device
    many = np.repeat(rows, DREAMS)
    state = State(*(part.repeat_interleave(DREAMS, 0).to(device) for part in state))
    z = torch.from_numpy(latents.mu[many]).to(device)
    expected = []
    for step in range(horizon):
        action = torch.from_numpy(latents.action[many + step]).to(device)
        restart = torch.from_numpy(np.isin(many + step, latents.starts)).float().to(device)
        state = memory.step(z, action, restart, state)
        mixture = memory.predict(state.h).mixture
        expected.append(expectation(mixture).unflatten(0, (-1, DREAMS)).mean(1).cpu())
        z = sample(mixture, 1.0, *step_noise(memory, len(many), step))
    return expected


def step_noise(memory: MDNRNN, count: int, step: int) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
    """Uniform and normal numbers for one step of so many dreams, on M's device."""
    dreamer, width = torch.arange(count, device=memory.head.weight.device), even(memory.latent_dim)
    picks, noise = uniform(dreamer, torch.full_like(dreamer, step), 2 * width).chunk(2, 1)
    return picks[:, : memory.latent_dim], normal(noise)[:, : memory.latent_dim]


def _error(
    vision: VisionModel,
    latents: Latents,
    rollouts: Rollouts,
    rows: NDArray[np.int64],
    expected: Float[Tensor, "n z"],
    horizon: int,
) -> Error:
    before, after = (torch.from_numpy(latents.mu[at]) for at in (rows, rows + horizon))
    frames = rollouts.frames(rows + horizon)
    shown = {name: _decoded(vision, z) for name, z in (("m", expected), ("no change", before), ("v", after))}
    return Error(
        horizon=horizon,
        moments=len(rows),
        latent=_rms(expected.numpy(), after.numpy()),
        latent_no_change=_rms(before.numpy(), after.numpy()),
        pixel=_rms(shown["m"], frames),
        pixel_no_change=_rms(shown["no change"], frames),
        pixel_vision=_rms(shown["v"], frames),
    )


def _decoded(vision: VisionModel, z: Float[Tensor, "n z"]) -> NDArray[np.uint8]:
    return np.concatenate([picture(vision, part) for part in z.split(32)])


def _rms(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Root mean squared difference."""
    return float(np.sqrt(np.square(one.astype(np.float64) - other).mean()))
