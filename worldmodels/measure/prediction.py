"""How far M sees, in V's pictures: from moments of held-out episodes on, with the actions taken but no frame seen."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.data.latents import Latents
from worldmodels.data.rollouts import Rollouts
from worldmodels.measure.reconstruction import decoded, squared_error
from worldmodels.memory.mdn_rnn import MDNRNN, State
from worldmodels.memory.mixture import sample
from worldmodels.vision.base import VisionModel


class Moments(NamedTuple):
    """S moments: number of the episode and step in it, both int64 (S,)."""

    episode: NDArray[np.int64]
    step: NDArray[np.int64]


def draw_moments(
    episodes: NDArray[np.int64], lengths: NDArray[np.int64], horizon: int, count: int, random: np.random.Generator
) -> Moments:
    """Up to `count` moments of episodes that go on for at least `horizon` steps more; possibly none."""
    possible = [(e, t) for e in episodes for t in range(int(lengths[e]) - horizon)]
    if len(possible) > count:
        possible = [possible[i] for i in np.sort(random.choice(len(possible), count, replace=False))]
    chosen = np.array(possible, np.int64).reshape(-1, 2)
    return Moments(chosen[:, 0], chosen[:, 1])


@torch.inference_mode()
def states_at(memory: MDNRNN, latents: Latents, moments: Moments) -> State:
    """What M remembers (S, H) at moments, before it learns of their z, having seen its episode's frames till then."""
    episodes, lane = np.unique(moments.episode, return_inverse=True)
    state = memory.initial_state(len(episodes))
    kept = memory.initial_state(len(lane))
    for step in range(int(moments.step.max(initial=0)) + 1):
        now = torch.from_numpy(np.flatnonzero(moments.step == step))
        for whole, part in zip(kept, state, strict=True):
            whole[now] = part[torch.from_numpy(lane)[now]]
        rows = np.minimum(latents.starts[episodes] + step, latents.starts[episodes + 1] - 1)
        state = _taken_in(memory, latents, rows, torch.from_numpy(latents.mu[rows]), state)
    return kept


def _taken_in(memory: MDNRNN, latents: Latents, rows: NDArray[np.int64], z: Tensor, state: State) -> State:
    """M's state after it took in z and the actions of some rows."""
    device = memory.head.weight.device
    action, restart = latents.action[rows], np.isin(rows, latents.starts).astype(np.float32)
    return memory.step(z.to(device), torch.from_numpy(action).to(device), torch.from_numpy(restart).to(device), state)


@torch.inference_mode()
def alone(memory: MDNRNN, latents: Latents, moments: Moments, horizon: int) -> NDArray[np.float32]:
    """Latents (`horizon`, S, Z) that M expects 1, 2, ... steps after moments whose frames were the last that it saw.

    Each is the most probable one (a sample at temperature 0), and M's own input for the next.
    """
    state = states_at(memory, latents, moments)
    rows = latents.starts[moments.episode] + moments.step
    z, expected = torch.from_numpy(latents.mu[rows]), []
    for ahead in range(horizon):
        state = _taken_in(memory, latents, rows + ahead, z, state)
        mixture = memory.predict(state.h).mixture
        unused = torch.zeros(len(rows), memory.latent_dim, device=state.h.device)
        z = sample(mixture, 0.0, unused, unused)
        expected.append(z.cpu())
    return torch.stack(expected).numpy()


def prediction_errors(
    vision: VisionModel,
    memory: MDNRNN,
    latents: Latents,
    rollouts: Rollouts,
    moments: Moments,
    horizons: tuple[int, ...],
) -> dict[str, dict[str, float]]:
    """Mean squared errors of pictures some steps ahead, against the real frames of that time.

    Returns, by horizon: `predicted` by M alone; `seen`, V's reconstruction of the frame itself, the least that M could
    reach; and `no_change`, V's reconstruction of the last frame that M saw.
    """
    device = memory.head.weight.device
    expected = alone(memory, latents, moments, max(horizons))
    rows = latents.starts[moments.episode] + moments.step
    last = decoded(vision, latents.mu[rows], device)
    found = {}
    for horizon in horizons:
        frames = rollouts.frames(rows + horizon)
        pictures = {
            "predicted": decoded(vision, expected[horizon - 1], device),
            "seen": decoded(vision, latents.mu[rows + horizon], device),
            "no_change": last,
        }
        found[str(horizon)] = {name: squared_error(shown, frames)["frame"] for name, shown in pictures.items()}
    return found
