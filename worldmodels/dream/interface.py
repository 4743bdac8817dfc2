"""Between a batch of dreams and those who train in it: Gymnasium's spaces, observations and actions."""

from typing import Literal

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.dream.vector import DreamVectorEnv
from worldmodels.envs.actions import Actions, Squash
from worldmodels.envs.frames import SHAPE
from worldmodels.pictures import Frames
from worldmodels.vision.base import VisionModel, picture

Observation = Literal["features", "frames"]


class Interface:
    """What is seen of B dreams, and how they are acted in.

    Args:
        dreams: the dreams.
        squash: the game's actions.
        vision: V, which shows latents as frames.
        observation: "features", float32 (F,): what C sees; or "frames", uint8 (64, 64, 3).

    Attributes:
        observation_space, action_space: of a single dream. A discrete game's choices are numbers from 0, as the
            game's own.
    """

    def __init__(
        self, dreams: DreamVectorEnv, squash: Squash, vision: VisionModel, observation: Observation = "features"
    ) -> None:
        self.dreams, self.squash, self.vision = dreams, squash, vision
        self.shows_frames = observation == "frames"
        self.observation_space = self._seen()
        self.action_space = squash.native_space
        self._batch = gym.vector.utils.batch_space(self.action_space, dreams.num_envs)

    def _seen(self) -> gym.spaces.Box:
        if self.shows_frames:
            return gym.spaces.Box(0, 255, SHAPE, np.uint8)
        limit = np.finfo(np.float32).max  # latents have no bounds, but spaces are asked for finite ones
        return gym.spaces.Box(-limit, limit, self.dreams.single_observation_space.shape, np.float32)

    def observations(self, features: NDArray[np.float32]) -> NDArray:
        """What is observed (B, ...) of dreams that C would see as `features` (B, F); an array of its own."""
        return self.pictures(features) if self.shows_frames else features.copy()

    def pictures(self, features: NDArray[np.float32]) -> Frames:
        """Dreams as frames (B, 64, 64, 3)."""
        z = torch.from_numpy(features[:, : self.vision.latent_dim])  # C sees z first, whatever else it sees
        return picture(self.vision, z)

    def actions(self, chosen: NDArray) -> Actions:
        """Action vectors (B, A) of B actions of `action_space`; numbers beyond its bounds count as the nearest in it.

        Raises:
            ValueError: an action is of another shape, not finite, or no choice of the game.
        """
        given = np.asarray(chosen)
        if given.shape != self._batch.shape or not np.isfinite(given).all():
            raise ValueError(f"Dreams take finite numbers in the shape {self._batch.shape} as actions, not {chosen}.")
        if not self.squash.choices:
            return given.astype(np.float32).clip(self.squash.low, self.squash.high, dtype=np.float32)
        if given not in self._batch:
            raise ValueError(f"{chosen} is no choice of {self._batch}.")
        return self.squash.of_picks(given.reshape(len(given), -1).astype(np.int64))
