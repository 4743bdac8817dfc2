"""Writing down what happens while a game is played, as the episodes that rollouts consist of."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodels.data.planes import FrameCompressor
from worldmodels.data.rollouts import Episode
from worldmodels.errors import UserError
from worldmodels.real_world import RealWorld


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


class Recorder:
    """A `World` that plays in another one and keeps the episodes that end there.

    Attributes:
        num_envs: number of lanes B.
        episodes: those that have ended, by their seeds.
    """

    def __init__(self, world: RealWorld) -> None:
        self._world, self.num_envs = world, world.num_envs
        self._lanes = [Notes(0)] * world.num_envs
        self.episodes: dict[int, Episode] = {}

    @property
    def over(self) -> NDArray[np.bool_]:
        """The lanes that stand still, bool (B,)."""
        return self._world.over

    @over.setter
    def over(self, lanes: NDArray[np.bool_]) -> None:
        self._world.over = lanes

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[NDArray[np.float32], dict]:
        """Begin episodes in the lanes of `options["reset_mask"]`, each with its own seed."""
        for lane in np.flatnonzero((options or {})["reset_mask"]):
            self._lanes[lane] = Notes(seed[lane])
        return self._world.reset(seed=seed, options=options)

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict]:
        """One step of the lanes that are not over."""
        playing = np.flatnonzero(~self._world.over)
        for lane in playing:
            self._lanes[lane].see(self._world.frames[lane], actions[lane])
        result = self._world.step(actions)
        _, rewards, terminated, truncated, _ = result
        for lane in playing:
            self._lanes[lane].pay(rewards[lane])
            if terminated[lane] or truncated[lane]:
                episode = self._lanes[lane].episode(terminated[lane], truncated[lane])
                self.episodes[episode.seed] = episode
        return result

    def close(self) -> None:
        """Close the games."""
        self._world.close()
