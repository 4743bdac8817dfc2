"""Batches of sequences for M: B streams, each playing one episode after another in pieces of L steps."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.data.latents import Latents
from worldmodels.memory.mdn_rnn import Sequences
from worldmodels.seeds import stream, torch_seed


class Pieces(NamedTuple):
    """What each of B streams plays next.

    Attributes:
        episode: int64 (B,), number of the episode.
        first: int64 (B,), its step with which the piece begins.
        fresh: bool (B,), whether M starts from its initial state rather than from where the stream's last piece ended.
    """

    episode: NDArray[np.int64]
    first: NDArray[np.int64]
    fresh: NDArray[np.bool_]


def streams(
    episodes: NDArray[np.int64], lengths: NDArray[np.int64], batch: int, length: int, seed: int, latest: int = 0
) -> Iterator[Pieces]:
    """Pieces for ever: all episodes in a random order, then again in another.

    Pieces never cross an episode's end. Streams begin in the midst of their first episodes, each at another piece, so
    that a batch holds all phases of an episode. `lengths` has an entry an episode of the whole collection; `episodes`
    names those to be played. With `latest` every other episode is one of the collection's latest so many.
    """
    queue = _endless(episodes, seed)
    newest = episodes[episodes >= len(lengths) - latest]
    if len(newest):
        queue = itertools.chain.from_iterable(zip(queue, _endless(newest, seed, "memory/latest"), strict=True))
    episode = np.array([next(queue) for _ in range(batch)], np.int64)
    pieces = -(-lengths[episode] // length)
    first = (stream(seed, "memory/phase").integers(0, pieces)) * length
    fresh = np.ones(batch, bool)
    while True:
        yield Pieces(episode.copy(), first.copy(), fresh)
        first += length
        fresh = first >= lengths[episode]
        for lane in np.flatnonzero(fresh):
            episode[lane], first[lane] = next(queue), 0


def _endless(episodes: NDArray[np.int64], seed: int, name: str = "memory/order") -> Iterator[int]:
    epoch = 0
    while True:
        yield from (int(e) for e in stream(seed, name, epoch).permutation(episodes))
        epoch += 1


def read_sequences(latents: Latents, pieces: Pieces, length: int, seed: int) -> Sequences:
    """The steps of some pieces, padded to `length`, with z drawn anew from its posterior.

    A latent that is one piece's last target and the next piece's first input is drawn once for each.
    """
    starts, ends = latents.starts[pieces.episode], latents.starts[pieces.episode + 1]
    rows = (starts + pieces.first)[:, None] + np.arange(length + 1)  # (B, L + 1)
    exists = torch.from_numpy(rows < ends[:, None])
    rows = np.minimum(rows, ends[:, None] - 1)
    posterior = latents.posterior(rows)
    generator = torch.Generator().manual_seed(seed)
    z = posterior.sample(torch.randn(posterior.mu.shape, generator=generator))
    steps, valid = rows[:, :-1], exists[:, :-1]
    return Sequences(
        z=z,
        action=torch.from_numpy(latents.action[steps]),
        restart=torch.from_numpy((steps == starts[:, None]).astype(np.float32)),
        reward=torch.from_numpy(latents.reward[steps]) * valid,
        done=torch.from_numpy(latents.terminated[steps]) * valid.float(),
        valid=valid,
        has_next=exists[:, 1:],
    )


def whole_episodes(latents: Latents, episodes: NDArray[np.int64], seed: int) -> Sequences:
    """Some episodes from first to last step, padded to the longest."""
    length = int(latents.lengths[episodes].max())
    pieces = Pieces(episodes, np.zeros_like(episodes), np.ones(len(episodes), bool))
    return read_sequences(latents, pieces, length, torch_seed(seed, "memory/validation noise", int(episodes[0])))
