"""One dream as a Gymnasium environment."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from worldmodels.dream.interface import Interface
from worldmodels.pictures import Frames, enlarge
from worldmodels.seeds import dream_seed

RENDER_SCALE = 4
"""Screen pixels a frame pixel in `render()`."""


class DreamEnv(gym.Env[NDArray, NDArray]):
    """M's dream of a game, to be trained in like the game itself.

    The first `reset(seed=...)` decides all dreams that follow. Terminated: M's done head says so; truncated: the step
    limit. Infos are empty.

    Args:
        interface: to one dream.
        render_mode: "rgb_array": `render()` gives what V decodes the latent to, enlarged to (256, 256, 3).
        fps: steps a second of the game.

    Raises:
        ResetNeeded: by `step` once a dream is over, and by `render` before the first.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012  # as Gymnasium declares it

    def __init__(self, interface: Interface, render_mode: str | None = None, fps: float = 50.0) -> None:
        self._interface, self.render_mode = interface, render_mode
        self.metadata = self.metadata | {"render_fps": fps}
        self.observation_space, self.action_space = interface.observation_space, interface.action_space
        self._features = np.zeros((0, 0), np.float32)
        self._over = True

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[NDArray, dict]:
        """Begin a dream."""
        super().reset(seed=seed)
        self._features, _ = self._interface.dreams.reset(seed=[dream_seed(self.np_random)])
        self._over = False
        return self._interface.observations(self._features)[0], {}

    def step(self, action: Any) -> tuple[NDArray, float, bool, bool, dict]:
        """One step."""
        if self._over:
            raise ResetNeeded("This dream is over: reset() begins another.")
        actions = self._interface.actions(np.asarray(action)[None])
        self._features, rewards, terminated, truncated, _ = self._interface.dreams.step(actions)
        self._over = bool(terminated[0] | truncated[0])
        observation = self._interface.observations(self._features)[0]
        return observation, float(rewards[0]), bool(terminated[0]), bool(truncated[0]), {}

    def render(self) -> Frames | None:
        """The dream as a picture, if it was asked for one when it was made."""
        if self.render_mode is None:
            return None
        if not len(self._features):
            raise ResetNeeded("A dream has no picture before the first reset().")
        return enlarge(self._interface.pictures(self._features)[0], RENDER_SCALE)
