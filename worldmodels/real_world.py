"""The real game through an agent's eyes: a Gymnasium vector environment that observes latents and memories."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from worldmodels.envs.frames import SHAPE
from worldmodels.seeds import spread_seeds
from worldmodels.world_model import WorldModel


class RealWorld(VectorEnv):
    """B games played side by side in this process; observations are what C sees, float32 (B, F).

    It never resets a lane by itself (`AutoresetMode.DISABLED`): `reset(seed=..., options={"reset_mask": mask})`
    begins new episodes in the lanes marked true, and steps of lanes whose episode is over do nothing. Infos hold
    `success` (B,) bool.

    Args:
        make_game: makes one game (see `worldmodels.envs.make_game`).
        lanes: number of games B.
        world_model: V and M following them; without it observations are empty (for policies that look at nothing).
        success_key: key of a step's info that is true once the episode is a success.
    """

    def __init__(
        self,
        make_game: Callable[[], gym.Env],
        lanes: int,
        world_model: WorldModel | None = None,
        success_key: str | None = None,
    ) -> None:
        self.games = [make_game() for _ in range(lanes)]
        self.num_envs, self.world_model, self.success_key = lanes, world_model, success_key
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.frames = np.zeros((lanes, *SHAPE), np.uint8)
        self.over = np.ones(lanes, bool)
        self.single_action_space = self.games[0].action_space
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, lanes)
        width = self._observe(np.arange(lanes)).shape[1]
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, lanes)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin episodes in the lanes of `options["reset_mask"]` (all by default), each with its own seed."""
        mask = np.asarray((options or {}).get("reset_mask", np.ones(self.num_envs, bool)), bool)
        seeds = spread_seeds(seed, self.num_envs)
        for lane in np.flatnonzero(mask):
            self.frames[lane], _ = self.games[lane].reset(seed=seeds[lane])
        self.over[mask] = False
        if self.world_model is not None:
            self.world_model.reset(torch.from_numpy(mask), [seeds[lane] or 0 for lane in np.flatnonzero(mask)])
        return self._observe(np.flatnonzero(mask)), {}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """One step of every lane whose episode is not over."""
        rewards = np.zeros(self.num_envs)
        terminated, truncated, success = (np.zeros(self.num_envs, bool) for _ in range(3))
        if self.world_model is not None:
            self.world_model.remember(actions)
        playing = np.flatnonzero(~self.over)
        for lane in playing:
            self.frames[lane], rewards[lane], terminated[lane], truncated[lane], info = self.games[lane].step(
                actions[lane]
            )
            success[lane] = bool(info.get(self.success_key, False)) if self.success_key else False
        self.over |= terminated | truncated
        return self._observe(playing), rewards, terminated, truncated, {"success": success}

    def _observe(self, lanes: NDArray[np.int64]) -> NDArray[np.float32]:
        """What C sees, with the new frames of some lanes."""
        if self.world_model is None:
            return np.zeros((self.num_envs, 0), np.float32)
        return self.world_model.observe(self.frames, lanes).numpy()

    def close_extras(self, **kwargs: Any) -> None:
        """Close the games."""
        for game in self.games:
            game.close()
