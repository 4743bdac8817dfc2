"""An episode as rollouts keep it, and how one is written down while it is played."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodels.data.planes import FrameCompressor
from worldmodels.envs.frames import as_it_is
from worldmodels.errors import UserError

BLOCK = 64
"""So many frames are compressed at a time: alone, each takes twice as long."""
LARGEST = float(np.finfo(np.float32).max)
"""The largest reward that can be kept."""


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

    def __reduce__(self) -> tuple[Callable[..., "Episode"], tuple[Any, ...]]:
        """Pickled, its frames are one array, which Ray copies once; one by one, they are copied again and again."""
        sizes = np.array([len(frame) for frame in self.frames])
        joined = np.frombuffer(b"".join(self.frames), np.uint8)
        return _unpickled, (sizes, joined, self.seed, self.actions, self.rewards, self.terminated, self.truncated)


def _unpickled(sizes: NDArray[np.int64], joined: NDArray[np.uint8], seed: int, *rest: Any) -> Episode:
    """The episode whose frames take so many bytes each."""
    ends = np.cumsum(sizes).tolist()
    frames = [joined[start:end].tobytes() for start, end in zip([0, *ends], ends, strict=False)]
    return Episode(seed, frames, *rest)


class Notes:
    """An episode under way.

    Args:
        seed: with which it was begun.
        develop: makes a frame (64, 64, 3) of what is seen.
    """

    def __init__(self, seed: int, develop: Callable[[NDArray[np.uint8]], NDArray[np.uint8]] = as_it_is) -> None:
        self._seed, self._develop, self._compress = seed, develop, FrameCompressor()
        self._seen = list[NDArray[np.uint8]]()  # that is yet to be compressed
        self._frames, self._actions, self._rewards = list[bytes](), list[NDArray[np.float32]](), list[float]()

    def see(self, frame: NDArray[np.uint8], action: NDArray[np.float32]) -> None:
        """What the agent saw, of which `develop` makes a frame, and the action (A,) that it chose."""
        if len(self._seen) == BLOCK:
            self._compress_seen()
        self._seen.append(frame.copy())
        self._actions.append(action)

    def pay(self, reward: float) -> None:
        """The reward for that action; UserError if float32, as which it is kept, has no such number."""
        if not abs(reward) <= LARGEST:  # NaN is not either
            raise UserError(
                f"The game paid {reward} at step {len(self)} of the episode with seed {self._seed}, and rewards have "
                f"to be numbers from {-LARGEST:.3g} to {LARGEST:.3g}: mend the game, or scale what it pays."
            )
        self._rewards.append(reward)

    def __len__(self) -> int:
        return len(self._rewards)

    def episode(self, terminated: bool, truncated: bool) -> Episode:
        """The whole episode, which ended with the last action."""
        self._compress_seen()
        rewards = np.array(self._rewards, np.float32)
        return Episode(self._seed, self._frames, np.stack(self._actions), rewards, bool(terminated), bool(truncated))

    def _compress_seen(self) -> None:
        self._frames += [self._compress(self._develop(frame)) for frame in self._seen]
        self._seen.clear()
