"""Writing down what happens while a game is played, as the episodes that rollouts consist of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodels.data.episode import Episode, Notes
from worldmodels.real_world import RealWorld


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
