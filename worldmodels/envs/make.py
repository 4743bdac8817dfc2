"""A task's game, ready to be played: task frames in, action vectors out, a step limit."""

import os
from typing import Any

import gymnasium as gym

from worldmodels.config import TaskConfig
from worldmodels.envs.actions import VectorActions, squash_for
from worldmodels.envs.frames import TaskFrames
from worldmodels.errors import UserError


class FrameSkip(gym.Wrapper):
    """Repeats each action for `skip` of the game's steps, or until the episode ends, and adds up the rewards."""

    def __init__(self, env: gym.Env, skip: int) -> None:
        super().__init__(env)
        self.skip = skip

    def step(self, action: object) -> tuple[object, float, bool, bool, dict]:
        """One agent's step."""
        total = 0.0
        for _ in range(self.skip):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


def make_game(task: TaskConfig, score: bool = False) -> gym.Env:
    """Make the task's game.

    Args:
        task: facts of the game.
        score: the game in which final scores are reported, rather than the one agents learn in.

    Returns:
        An environment that observes uint8 (64, 64, 3) and takes action vectors (see `worldmodels.envs.actions`). Its
        attribute `squash`, reached by `get_wrapper_attr`, maps C's outputs to those vectors.

    Raises:
        UserError: the game is unknown or cannot be made, shows no image, or has an action space that cannot be mapped.
    """
    name, kwargs = task.env, task.env_kwargs
    if score and task.score_env is not None:
        name, kwargs = task.score_env, task.score_env_kwargs
    kwargs = {"max_episode_steps": -1, **kwargs}  # the task's own limit holds, not the one that the game registered
    if task.render_pixels:
        kwargs["render_mode"] = "rgb_array"
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # games that render by pygame need no window
    try:
        env = _make(name, kwargs)
    except Exception as error:  # a game may raise anything about its keyword arguments
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"The game {name} cannot be made: {reason}") from error
    env = VectorActions(env, squash_for(env.action_space, task.squash))
    if task.frame_skip > 1:
        env = FrameSkip(env, task.frame_skip)
    env = TaskFrames(env, task.crop, task.image_key, task.render_pixels)
    return gym.wrappers.TimeLimit(env, task.max_steps)


def _make(name: str, kwargs: dict[str, Any]) -> gym.Env:
    if not name.startswith("Vizdoom"):
        return gym.make(name, disable_env_checker=True, **kwargs)
    from worldmodels.envs.vizdoom_games import VizdoomGame  # registers the games of VizDoom's own wrapper

    return VizdoomGame(gym.make(name, disable_env_checker=True, **kwargs))
