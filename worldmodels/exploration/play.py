"""The job of workers that play exploring policies: from the seeds of some episodes to the episodes."""

import queue
from collections.abc import Sequence

import gymnasium as gym

from worldmodels.config import TaskConfig
from worldmodels.data.episode import Episode, Notes
from worldmodels.envs.make import make_game
from worldmodels.exploration.policies import PolicyMaker


class PlayExploring:
    """Plays episodes, each with an exploring policy of its own; may be called by several threads at once.

    Args:
        task: the game, with the step limit of recorded episodes.
        make_policy: makes the policy of each episode.
    """

    def __init__(self, task: TaskConfig, make_policy: PolicyMaker) -> None:
        self._task, self._make_policy = task, make_policy
        self._idle: queue.SimpleQueue[gym.Env] = queue.SimpleQueue()
        self._games = list[gym.Env]()

    def __call__(self, seeds: Sequence[int]) -> list[Episode]:
        """The episodes with some seeds."""
        try:
            game = self._idle.get_nowait()
        except queue.Empty:
            game = make_game(self._task)
            self._games.append(game)
        episodes = [self._episode(game, seed) for seed in seeds]
        self._idle.put(game)
        return episodes

    def _episode(self, game: gym.Env, seed: int) -> Episode:
        policy = self._make_policy(game.get_wrapper_attr("squash"), seed)
        notes = Notes(seed)
        frame, _ = game.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            action = policy.act(frame)
            notes.see(frame, action)
            frame, reward, terminated, truncated, _ = game.step(action)
            notes.pay(float(reward))
        return notes.episode(terminated, truncated)

    def close(self) -> None:
        """Close the games."""
        for game in self._games:
            game.close()
