"""The real games, as Gymnasium environments of 64x64 frames and continuous actions.

Importing this package registers `WorldModels/CarRacing-v0` and `WorldModels/TakeCover-v0`. Nothing here imports torch.
"""

import gymnasium

from worldmodels.envs.make import make_game

__all__ = ["make_game"]

gymnasium.register(
    "WorldModels/CarRacing-v0", entry_point="worldmodels.envs.car_racing:FastCarRacing", max_episode_steps=1000
)
gymnasium.register("WorldModels/TakeCover-v0", entry_point="worldmodels.envs.take_cover:TakeCover")
