"""Does M still expect ends once it dreams? From real moments on, under the actions that were really taken."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.calibration.prediction import step_noise
from worldmodels.data.latents import Latents
from worldmodels.memory.mdn_rnn import MDNRNN, State
from worldmodels.memory.mixture import sample
from worldmodels.memory.starts import remembered
from worldmodels.seeds import stream
from worldmodels.vision.base import Posterior

BOUNDS = (0, 10, 30, 60, 120)
"""Bounds of the spans after a dream's beginning that are told apart, in steps."""
EPISODES, MOMENTS, DREAMS = 32, 16, 4
"""So many dreams begin at each of so many moments of each of so many episodes, drawn so that all steps are alike."""


@dataclass(frozen=True)
class Replayed:
    """Ends some time after dreams have left the game, all numbers in 1,000 steps.

    Attributes:
        begin, end: the span, in steps after the dreams' beginning.
        steps: steps of the game that count.
        game: ends that the game saw.
        frames: ends that M expected as it followed the game's own frames.
        dream: ends that M expected in dreams that go on under the same actions.
    """

    begin: int
    end: int
    steps: int
    game: float
    frames: float
    dream: float


@torch.inference_mode()
def replayed_ends(memory: MDNRNN, latents: Latents, episodes: NDArray[np.int64], seed: int) -> list[Replayed]:
    """Ends in some episodes after random moments of them, in the game and in dreams, at temperature 1.

    Where M expects as many ends as the game has while it sees the game's frames, and fewer once it dreams, what ends
    episodes does not come about in its dreams. M has to have a done head.
    """
    rows, state = _moments(memory, latents, episodes, seed)
    last = latents.starts[np.searchsorted(latents.starts, rows, side="right")] - 1
    frames, dream = State(*(part.clone() for part in state)), state
    device = state.h.device
    z = torch.zeros(0, device=device)
    alive = torch.ones(len(rows), dtype=torch.float64)
    counts = np.zeros((BOUNDS[-1], 5))  # steps, ends, expected on frames; steps and ends of dreams
    for step in range(BOUNDS[-1]):
        at = np.minimum(rows + step, last)
        counted = rows + step <= last
        posterior = Posterior(*(part.to(device) for part in latents.posterior(at)))
        action = torch.from_numpy(latents.action[at]).to(device)
        restart = torch.from_numpy(np.isin(at, latents.starts) & (step == 0)).float().to(device)
        picks, noise = step_noise(memory, len(rows), step)
        seen = posterior.sample(noise)
        z = z if step else seen
        frames, on_frames, _ = _stepped(memory, seen, action, restart, frames, picks, noise)
        dream, in_dream, z = _stepped(memory, z, action, restart, dream, picks, noise)
        ended = latents.terminated[at] & counted
        weights = alive.numpy() * counted
        counts[step] = [
            counted.sum(), ended.sum(), on_frames[counted].sum(), weights.sum(), (weights * in_dream.numpy()).sum()
        ]  # fmt: skip
        alive *= 1 - in_dream
    return [_span(begin, end, counts[begin:end].sum(0)) for begin, end in pairwise(BOUNDS) if counts[begin, 0]]


def _span(begin: int, end: int, counts: NDArray[np.float64]) -> Replayed:
    steps, ends, on_frames, dreamt_steps, dreamt = (float(number) for number in counts)
    return Replayed(
        begin,
        end,
        steps=round(steps) // DREAMS,
        game=1000 * ends / steps,
        frames=1000 * on_frames / steps,
        dream=1000 * dreamt / max(dreamt_steps, 1e-12),  # a dream may be over to the last digit
    )


def _moments(
    memory: MDNRNN, latents: Latents, episodes: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], State]:
    """Rows of random moments, each as often as dreams begin there, and M's state before each."""
    random, lengths = stream(seed, "calibration/replays"), latents.lengths[episodes]
    chosen = random.choice(episodes, EPISODES, p=lengths / lengths.sum())
    moments = random.integers(0, latents.lengths[chosen][:, None], (len(chosen), MOMENTS))
    rows, state = remembered(latents, memory, chosen, moments, seed)
    device = memory.head.weight.device
    return np.repeat(rows, DREAMS), State(*(part.repeat_interleave(DREAMS, 0).to(device) for part in state))


def _stepped(
    memory: MDNRNN,
    z: Float[Tensor, "n z"],
    action: Float[Tensor, "n a"],
    restart: Float[Tensor, " n"],
    state: State,
    picks: Float[Tensor, "n z"],
    noise: Float[Tensor, "n z"],
) -> tuple[State, Float[Tensor, " n"], Float[Tensor, "n z"]]:
    """M's next state, the probability of the end that it then sees (on the CPU), and a draw of the next latent."""
    state = memory.step(z, action, restart, state)
    prediction = memory.predict(state.h)
    assert prediction.done is not None
    return state, torch.sigmoid(prediction.done.double()).cpu(), sample(prediction.mixture, 1.0, picks, noise)
