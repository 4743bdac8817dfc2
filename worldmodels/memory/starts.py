"""Where dreams begin: real first frames, and real moments in the midst of episodes with what M remembers there."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.data.latents import Latents
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, State
from worldmodels.memory.sequences import whole_episodes
from worldmodels.seeds import stream
from worldmodels.tensors import load_tensors, save_tensors

MOMENTS_AN_EPISODE = 16


class Starts(NamedTuple):
    """N starts: the frame's posterior, M's state before it, and whether it is an episode's first frame."""

    mu: Float[Tensor, "n z"]
    logvar: Float[Tensor, "n z"]
    h: Float[Tensor, "n h"]
    c: Float[Tensor, "n h"]
    first: Bool[Tensor, " n"]

    def only_first(self) -> "Starts":
        """The starts that are first frames."""
        return Starts(*(tensor[self.first] for tensor in self))


@torch.inference_mode()
def gather_starts(latents: Latents, model: MDNRNN, episodes: NDArray[np.int64], count: int, seed: int) -> Starts:
    """Up to `count` first frames of the given episodes, and as many moments, all of their steps equally likely."""
    random = stream(seed, "memory/starts")
    openings = latents.starts[random.permutation(episodes)[:count]]
    zeros = torch.zeros(len(openings), model.config.hidden)
    groups = [_starts(latents, openings, State(zeros, zeros))]
    lengths = latents.lengths[episodes]
    chosen = random.choice(episodes, -(-count // MOMENTS_AN_EPISODE), p=lengths / lengths.sum())
    for group in np.array_split(chosen, -(-len(chosen) // 64)):
        moments = random.integers(0, latents.lengths[group][:, None], (len(group), MOMENTS_AN_EPISODE))
        groups.append(_starts(latents, *remembered(latents, model, group, moments, seed)))
    merged = Starts(*(torch.cat(parts) for parts in zip(*groups, strict=True)))
    first, last = len(openings), len(merged.first)
    inner = np.sort(random.permutation(np.arange(first, last))[:count])  # the last ones of a group are its latest
    return Starts(*(tensor[np.append(np.arange(first), inner)] for tensor in merged))


@torch.inference_mode()
def remembered(
    latents: Latents, model: MDNRNN, episodes: NDArray[np.int64], moments: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], State]:
    """What M remembers at some steps of E episodes that it follows: `moments` (E, N), in each episode's own steps.

    Returns the E * N rows of these steps, those of early steps first, and M's state before each, on the CPU.
    """
    device = model.head.weight.device
    batch = whole_episodes(latents, episodes, seed)
    state, rows, kept = model.initial_state(len(episodes)), [], []
    for step in range(int(moments.max()) + 1):
        lanes, _ = np.nonzero(moments == step)
        if len(lanes):
            rows.append(latents.starts[episodes[lanes]] + step)
            kept.append(State(state.h[lanes].cpu(), state.c[lanes].cpu()))
        z, action, restart = batch.z[:, step], batch.action[:, step], batch.restart[:, step]
        state = model.step(z.to(device), action.to(device), restart.to(device), state)
    return np.concatenate(rows), State(*(torch.cat(parts) for parts in zip(*kept, strict=True)))


def _starts(latents: Latents, rows: NDArray[np.int64], state: State) -> Starts:
    return Starts(*latents.posterior(rows), state.h, state.c, torch.from_numpy(np.isin(rows, latents.starts)))


def save_starts(path: Path, starts: Starts) -> None:
    """Write starts as safetensors."""
    save_tensors(path, starts._asdict())


def load_starts(path: Path) -> Starts:
    """Starts from a file; UserError if it is damaged."""
    tensors, _ = load_tensors(path)
    if set(tensors) != set(Starts._fields) or not _fit(starts := Starts(**tensors)):
        raise UserError(f"{path} does not hold the starts of dreams.")
    return Starts(**{name: t if name == "first" else t.float() for name, t in starts._asdict().items()})


def _fit(starts: Starts) -> bool:
    """Whether shapes and types are those of starts, and all numbers finite."""
    *numbers, first = starts
    return (
        first.ndim == 1
        and first.dtype == torch.bool
        and all(tensor.ndim == 2 and len(tensor) == len(first) for tensor in numbers)
        and starts.mu.shape == starts.logvar.shape
        and starts.h.shape == starts.c.shape
        and all(bool(torch.isfinite(tensor.float()).all()) for tensor in numbers)
    )
