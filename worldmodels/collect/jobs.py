"""The workers' jobs of stage 1: from the seeds of some episodes to the episodes."""

import dataclasses
import queue
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

from worldmodels.agent import Agent
from worldmodels.collect.astray import StrayingAgent
from worldmodels.collect.policies import exploring_policy
from worldmodels.collect.recorder import Notes, Recorder
from worldmodels.config import Config, TaskConfig
from worldmodels.data.rollouts import Episode
from worldmodels.envs.make import make_game
from worldmodels.play import play


class PlayExploring:
    """Plays episodes, each with an exploring policy of its own; may be called by several threads at once."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._idle: queue.SimpleQueue[gym.Env] = queue.SimpleQueue()
        self._games = list[gym.Env]()

    def __call__(self, seeds: Sequence[int]) -> list[Episode]:
        """The episodes with some seeds."""
        try:
            game = self._idle.get_nowait()
        except queue.Empty:
            game = make_game(limited_task(self.config))
            self._games.append(game)
        episodes = [self._episode(game, seed) for seed in seeds]
        self._idle.put(game)
        return episodes

    def _episode(self, game: gym.Env, seed: int) -> Episode:
        policy = exploring_policy(self.config, game.get_wrapper_attr("squash"), seed)
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


class PlayAgent:
    """Plays a trained agent that strays, in all its lanes at once, so that V and M work on batches."""

    def __init__(self, config: Config, agent: Agent) -> None:
        self.agent = dataclasses.replace(agent, task=limited_task(config))
        self.config = config.collect
        self.world = Recorder(self.agent.real_world(config.compute.lanes, config.compute))

    def __call__(self, seeds: Sequence[int]) -> list[Episode]:
        """The episodes with some seeds."""
        policy = StrayingAgent(self.agent, self.config, self.world.num_envs, len(seeds))
        play(self.world, policy, np.array(seeds))
        episodes = [self.world.episodes[seed] for seed in seeds]
        self.world.episodes.clear()
        return episodes

    def close(self) -> None:
        """Close the games."""
        self.world.close()


def limited_task(config: Config) -> TaskConfig:
    """The task with the step limit of recorded episodes."""
    limit = min(config.collect.max_steps or config.task.max_steps, config.task.max_steps)
    return dataclasses.replace(config.task, max_steps=limit)
