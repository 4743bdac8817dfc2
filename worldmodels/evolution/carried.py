"""C carried over to another V and M: the parameters that do with them most nearly what an agent does with its own.

What C puts out is linear in what it sees, and other V and M make other features of the same frames and actions. So the
parameters are those of a ridge regression: outputs of the agent's C on what its successor sees, in the latest episodes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy
import torch
from numpy.typing import NDArray

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig
from worldmodels.controller.form import outputs
from worldmodels.data.rollouts import Rollouts
from worldmodels.envs.frames import SHAPE
from worldmodels.metrics import progress_bar
from worldmodels.runtime import one_thread

EPISODES = 128
"""So many of the latest episodes are looked at: after an iteration's collection, those that the agent itself played."""
LANES, STEPS = 16, 256
"""Episodes side by side, and steps of each that are read at once."""
RIDGE = 0.01
"""Variance of noise on what C sees, beside which its weights are to do well: it keeps them small."""


@dataclass
class Moments:
    """Sums over N rows of features x (F,) and outputs y (A,), which are all that a least squares fit needs."""

    rows: int
    xx: NDArray[np.float64]
    xy: NDArray[np.float64]
    y: NDArray[np.float64]
    yy: NDArray[np.float64]

    @classmethod
    def none(cls, features: int, actions: int) -> "Moments":
        """Those of no rows."""
        f, a = features, actions
        return cls(0, np.zeros((f, f)), np.zeros((f, a)), np.zeros(a), np.zeros(a))

    def add(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> None:
        """Take rows x (N, F), y (N, A) in."""
        x, y = x.astype(np.float64), y.astype(np.float64)
        self.rows += len(x)
        self.xx += x.T @ x
        self.xy += x.T @ y
        self.y += y.sum(0)
        self.yy += np.square(y).sum(0)

    def fit(self, penalty: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights (A, F) of the ridge regression with a penalty (F,) a row."""
        return scipy.linalg.solve(self.xx + self.rows * np.diag(penalty), self.xy, assume_a="pos").T

    def explained(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """R^2 (A,) of weights (A, F) on these rows; NaN for an output that never varies."""
        errors = self.yy - 2 * (weights * self.xy.T).sum(1) + ((weights @ self.xx) * weights).sum(1)
        spread = self.yy - np.square(self.y) / self.rows
        return 1 - errors / np.where(spread > 1e-9 * self.yy, spread, np.nan)


def carried_over(
    agent: Agent, successor: Agent, rollouts: Rollouts, compute: ComputeConfig
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Parameters (P,) of the successor's C that do what the agent does, and R^2 (A,) of the outputs on the way.

    The successor's C has to be without a hidden layer; the agent's may be any.
    """
    form = successor.form
    moments = Moments.none(form.features + form.bias, form.actions)
    with one_thread():
        for seen, put_out in _watched(agent, successor, rollouts, compute):
            ones = np.ones((len(seen), int(form.bias)), np.float32)
            moments.add(np.concatenate([seen, ones], 1), put_out)
    penalty = np.full(form.features + form.bias, RIDGE)
    penalty[form.features :] = 0  # the constant term has no noise
    weights = moments.fit(penalty)
    flat = np.concatenate([weights[:, : form.features].ravel(), weights[:, form.features :].ravel()])
    return flat.astype(np.float32), moments.explained(weights)


def _watched(
    agent: Agent, successor: Agent, rollouts: Rollouts, compute: ComputeConfig
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """What the successor sees (N, F) and what the agent's C puts out (N, A), piece by piece of the latest episodes."""
    latest, seeds = np.arange(len(rollouts))[-EPISODES:], rollouts.seeds()
    layers = agent.form.layers(agent.parameters[None])
    with progress_bar("Carrying C over", int(rollouts.lengths[latest].sum()), "frames") as bar:
        for group in np.split(latest, range(LANES, len(latest), LANES)):
            own, other = (player.world_model(len(group), compute) for player in (agent, successor))
            for watcher in (own, other):
                watcher.reset(torch.ones(len(group), dtype=torch.bool), seeds[group].tolist())
            for frames, actions, counts in _pieces(rollouts, group):
                seen, put_out = [], []
                for step in range(len(frames)):
                    playing = np.flatnonzero(counts > step)
                    put_out.append(outputs(layers, own.observe(frames[step], playing)[playing]))
                    seen.append(other.observe(frames[step], playing)[playing])
                    own.remember(actions[step])
                    other.remember(actions[step])
                    bar.advance(len(playing))
                yield torch.cat(seen).numpy(), torch.cat(put_out).numpy()


def _pieces(
    rollouts: Rollouts, episodes: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]]:
    """Frames (S, B, 64, 64, 3) and actions (S, B, A) of B episodes side by side, and how many steps each has in it."""
    starts, lengths = rollouts.starts[episodes], rollouts.lengths[episodes]
    for first in range(0, int(lengths.max()), STEPS):
        counts = np.clip(lengths - first, 0, STEPS)
        frames = np.zeros((int(counts.max()), len(episodes), *SHAPE), np.uint8)
        actions = np.zeros((*frames.shape[:2], rollouts.action_dim), np.float32)
        for lane in np.flatnonzero(counts):
            row, count = int(starts[lane]) + first, int(counts[lane])
            frames[:count, lane] = rollouts.frames(slice(row, row + count))
            actions[:count, lane] = rollouts.steps(slice(row, row + count))["action"]
        yield frames, actions, counts
