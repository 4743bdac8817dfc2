"""The jobs of stage 1's workers: from the seeds of some episodes to the episodes."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from worldmodels.agent import Agent
from worldmodels.collect.astray import StrayingAgent
from worldmodels.collect.recorder import Recorder
from worldmodels.config import Config, TaskConfig
from worldmodels.data.episode import Episode
from worldmodels.exploration.play import PlayExploring
from worldmodels.exploration.policies import policy_maker
from worldmodels.play import play
from worldmodels.seeds import shortened

Job = Callable[[Sequence[int]], list[Episode]]


def job_maker(config: Config, agent: Agent | None) -> Callable[[], Job]:
    """Makes the job of a worker: the agent that strays, or the exploring policy."""
    if agent is None:
        return partial(PlayExploring, limited_task(config), policy_maker(config))
    return partial(PlayAgent, config, agent)


def describe_seeds(seeds: Sequence[int]) -> str:
    """What a job's task is called in messages."""
    return f"the episode with seed {seeds[0]}" if len(seeds) == 1 else f"episodes with seeds {shortened(seeds)}"


class PlayAgent:
    """Plays a trained agent that strays, in all its lanes at once, so that V and M work on batches."""

    def __init__(self, config: Config, agent: Agent) -> None:
        self.agent = dataclasses.replace(agent, task=limited_task(config))
        self.config = config.collect
        self.world = Recorder(self.agent.real_world(config.compute.lanes, config.compute))

    def __call__(self, seeds: Sequence[int]) -> list[Episode]:
        """The episodes with some seeds."""
        policy = StrayingAgent(self.agent, self.config, self.world.num_envs, seeds)
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
