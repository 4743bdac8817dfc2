"""The real games, as Gymnasium environments of 64x64 frames and continuous actions.

Importing this package registers `WorldModels/CarRacing-v0` and `WorldModels/TakeCover-v0`, and the dreams of agents
that have learned a game, `WorldModels/DreamCarRacing-v0`, `WorldModels/DreamTakeCover-v0` and, for any agent,
`WorldModels/Dream-v0`. Nothing here imports torch; a dream does when it is made.
"""

import gymnasium

from worldmodels.envs.make import make_game

__all__ = ["make_game"]

gymnasium.register(
    "WorldModels/CarRacing-v0", entry_point="worldmodels.envs.car_racing:FastCarRacing", max_episode_steps=1000
)
gymnasium.register("WorldModels/TakeCover-v0", entry_point="worldmodels.envs.take_cover:TakeCover")

for _id, _agent in (
    ("WorldModels/Dream-v0", {}),
    ("WorldModels/DreamCarRacing-v0", {"game": "car_racing"}),
    ("WorldModels/DreamTakeCover-v0", {"game": "take_cover"}),
):
    gymnasium.register(
        _id,
        entry_point="worldmodels.dream_games:make_dream",
        vector_entry_point="worldmodels.dream_games:make_dreams",
        kwargs=_agent,
    )
