"""Many dreams side by side as a Gymnasium vector environment."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from worldmodels.dream.env import RENDER_SCALE
from worldmodels.dream.interface import Interface
from worldmodels.pictures import Frames, enlarge
from worldmodels.seeds import dream_seed, spread_seeds

Flags = NDArray[np.bool_]


class DreamEnvs(VectorEnv[NDArray, NDArray, NDArray]):
    """B dreams that are stepped together; each is what a `DreamEnv` with its seed would be.

    Seeds, autoreset modes, observations and infos are those of `gymnasium.vector.SyncVectorEnv`.

    Args:
        interface: to the B dreams.
        autoreset_mode: what follows a dream's end. `NEXT_STEP`: the next step begins another, whatever the action, with
            reward 0. `SAME_STEP`: the step that ends it begins another, and its last observation is in
            `infos["final_obs"]`. `DISABLED`: nothing, until `reset(options={"reset_mask": mask})`.
        render_mode: "rgb_array": `render()` gives a picture a dream.
        fps: steps a second of the game.

    Raises:
        ResetNeeded: by `step` without autoreset while a dream is over, and by `render` before the first reset.
        ValueError: seeds or the reset mask are not one a dream.
    """

    def __init__(
        self,
        interface: Interface,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        fps: float = 50.0,
    ) -> None:
        self.num_envs = interface.dreams.num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": fps,
            "autoreset_mode": self.autoreset_mode,
        }
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = interface.observation_space, interface.action_space
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, self.num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, self.num_envs)
        self._interface = interface
        self._random: list[tuple[np.random.Generator, int] | None] = [None] * self.num_envs
        self._features = np.zeros((0, 0), np.float32)
        self._over = np.ones(self.num_envs, bool)

    @property  # type: ignore[misc]  # as SyncVectorEnv does
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Each dream's own stream of seeds."""
        return tuple(self._stream(lane)[0] for lane in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each dream's stream."""
        return tuple(self._stream(lane)[1] for lane in range(self.num_envs))

    def _stream(self, lane: int) -> tuple[np.random.Generator, int]:
        made = self._random[lane] or np_random()
        self._random[lane] = made
        return made

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict[str, Any]]:
        """Begin dreams in the lanes of `options["reset_mask"]`, all by default; a single seed is that of the first."""
        mask = self._checked((options or {}).get("reset_mask", np.ones(self.num_envs, bool)))
        seeds = spread_seeds(seed, self.num_envs)
        if len(seeds) != self.num_envs:
            raise ValueError(f"There are {self.num_envs} dreams, but {len(seeds)} seeds.")
        for lane in np.flatnonzero(mask):
            if seeds[lane] is not None:
                self._random[lane] = np_random(seeds[lane])
        self._begin(mask)
        return self._interface.observations(self._features), {}

    def _checked(self, mask: Any) -> Flags:
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise ValueError(f"The reset mask should be a boolean array of {self.num_envs}, but it is {mask!r}.")
        if not mask.any():
            raise ValueError("The reset mask names no dream.")
        return mask

    def _begin(self, mask: Flags) -> None:
        seeds = [dream_seed(self._stream(lane)[0]) if begins else None for lane, begins in enumerate(mask)]
        self._features, _ = self._interface.dreams.reset(seed=seeds, options={"reset_mask": mask})
        self._over = self._over & ~mask

    def step(self, actions: NDArray) -> tuple[NDArray, NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """One step of every dream."""
        if not len(self._features) or (self.autoreset_mode == AutoresetMode.DISABLED and self._over.any()):
            raise ResetNeeded(f"The dreams {np.flatnonzero(self._over).tolist()} are over: reset() begins others.")
        begins = self._over
        vectors = self._interface.actions(actions)
        self._features, rewards, terminated, truncated, _ = self._interface.dreams.step(vectors)
        self._over = begins | terminated | truncated
        infos: dict[str, Any] = {}
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            begins = terminated | truncated
            infos = self._last_words(begins)
        if begins.any():
            self._begin(begins)
        return self._interface.observations(self._features), rewards, terminated, truncated, infos

    def _last_words(self, ended: Flags) -> dict[str, Any]:
        """What dreams that have ended showed last."""
        infos: dict[str, Any] = {}
        if ended.any():
            last = self._interface.observations(self._features)
            for lane in np.flatnonzero(ended):
                infos = self._add_info(infos, {"final_obs": last[lane], "final_info": {}}, int(lane))
        return infos

    def render(self) -> tuple[Frames, ...] | None:
        """The dreams as pictures, if it was asked for them when it was made."""
        if self.render_mode is None:
            return None
        if not len(self._features):
            raise ResetNeeded("Dreams have no pictures before the first reset().")
        return tuple(enlarge(frame, RENDER_SCALE) for frame in self._interface.pictures(self._features))
