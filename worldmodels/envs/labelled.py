"""Games that tell their true state."""

import dataclasses

import gymnasium as gym
from gymnasium.envs.box2d.car_racing import CarRacing

from worldmodels.config import TaskConfig
from worldmodels.envs.car_state import CarState
from worldmodels.envs.cover_state import CoverState
from worldmodels.envs.make import make_game
from worldmodels.envs.state import StateReader
from worldmodels.envs.take_cover import TakeCover


def labelled_game(task: TaskConfig) -> tuple[gym.Env, StateReader | None]:
    """The task's game, as `make_game` makes it, and what reads its state; None for a game that nobody can read."""
    game = make_game(task)
    match game.unwrapped:
        case CarRacing() as car_racing:
            return game, CarState(car_racing, task.crop)
        case TakeCover():
            game.close()
            return make_game(dataclasses.replace(task, env_kwargs={**task.env_kwargs, "labels": True})), CoverState()
    return game, None
