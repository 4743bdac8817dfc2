"""An episode as rollouts keep it, and how one is written down while it is played."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodels.data.planes import FrameCompressor
from worldmodels.errors import UserError


@dataclass(frozen=True)
class Episode:
    """One episode of T steps.

    Attributes:
        seed: with which the game was reset.
        frames: T frames, each as a blob of its planes (see `worldmodels.data.planes`).
        actions: float32 (T, A).
        rewards: float32 (T,).
        terminated: whether the game ended with the last step.
        truncated: whether a step limit ended the episode.
    """

    seed: int
    frames: list[bytes]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    terminated: bool
    truncated: bool

    def __len__(self) -> int:
        return len(self.rewards)


class Notes:
    """An episode under way, begun with a seed."""

    def __init__(self, seed: int) -> None:
        self._seed, self._compress = seed, FrameCompressor()
        self._frames, self._actions, self._rewards = list[bytes](), list[NDArray[np.float32]](), list[float]()

    def see(self, frame: NDArray[np.uint8], action: NDArray[np.float32]) -> None:
        """The frame (64, 64, 3) that the agent saw, and the action (A,) that it chose."""
        self._frames.append(self._compress(frame))
        self._actions.append(action)

    def pay(self, reward: float) -> None:
        """The reward for that action; UserError if it is not a finite number."""
        if not math.isfinite(reward):
            raise UserError(f"The game paid {reward} at step {len(self)} of the episode with seed {self._seed}.")
        self._rewards.append(reward)

    def __len__(self) -> int:
        return len(self._rewards)

    def episode(self, terminated: bool, truncated: bool) -> Episode:
        """The whole episode, which ended with the last action."""
        rewards = np.array(self._rewards, np.float32)
        return Episode(self._seed, self._frames, np.stack(self._actions), rewards, bool(terminated), bool(truncated))
