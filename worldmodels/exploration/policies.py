"""Policies that explore: each sees frames (or ignores them) and gives actions for one episode."""

import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from worldmodels.config import CollectConfig, Config, TaskConfig
from worldmodels.envs.actions import Actions, Squash
from worldmodels.errors import UserError
from worldmodels.seeds import stream


class ExploringPolicy(Protocol):
    """Acts in one episode.

    Attributes:
        looks: whether it looks at frames; else they may be anything.
    """

    looks: bool

    def act(self, frame: NDArray[np.uint8]) -> Actions:
        """The action (A,) for a frame (64, 64, 3)."""


class CorrelatedNormal:
    """A standard normal process: vectors (A,) of which successive ones have a given correlation; 0 draws each anew."""

    def __init__(self, size: int, correlation: float, random: np.random.Generator) -> None:
        self._correlation, self._random = correlation, random
        self._following = random.standard_normal(size)

    def next(self) -> NDArray[np.float64]:
        """The next vector."""
        value, rho = self._following, self._correlation
        fresh = self._random.standard_normal(len(value))
        self._following = rho * value + math.sqrt(1 - rho * rho) * fresh  # keeps the variance at 1
        return value


class Noise:
    """Noise that ignores the frame: a `CorrelatedNormal` process, shifted by a mean (A,) and squashed into actions."""

    looks = False

    def __init__(self, squash: Squash, mean: NDArray, correlation: float, random: np.random.Generator) -> None:
        self._squash, self._mean = squash, mean
        self._process = CorrelatedNormal(len(mean), correlation, random)

    def act(self, frame: NDArray[np.uint8]) -> Actions:
        """The next action."""
        return self._squash((self._mean + self._process.next()).astype(np.float32)[None])[0]


class Held:
    """Uniform actions, each held for a number of steps drawn log-uniformly between two bounds."""

    looks = False

    def __init__(self, squash: Squash, hold: tuple[int, int], random: np.random.Generator) -> None:
        self._squash, self._hold, self._random = squash, hold, random
        self._left, self._action = 0, np.zeros(squash.dim, np.float32)

    def act(self, frame: NDArray[np.uint8]) -> Actions:
        """The action held now."""
        if self._left == 0:
            self._left = draw_hold(self._hold, self._random)
            self._action = self._squash.random(self._random)
        self._left -= 1
        return self._action


def draw_hold(hold: tuple[int, int], random: np.random.Generator) -> int:
    """A number of steps between two bounds (both of them included), log-uniformly."""
    shortest, longest = hold
    return int(math.exp(random.uniform(math.log(shortest), math.log(longest + 1))))


class Uniform:
    """Uniform actions, a new one every step."""

    looks = False

    def __init__(self, squash: Squash, random: np.random.Generator) -> None:
        self._squash, self._random = squash, random

    def act(self, frame: NDArray[np.uint8]) -> Actions:
        """A random action."""
        return self._squash.random(self._random)


PolicyMaker = Callable[[Squash, int], ExploringPolicy]
"""From how actions are made and an episode's seed to the policy of that episode."""


def policy_maker(config: Config) -> PolicyMaker:
    """The policy `config.collect.policy`; what it returns can be pickled, and only a random agent needs torch."""
    if config.collect.policy == "random_agent":
        from worldmodels.exploration.random_agent import RandomAgent

        return partial(RandomAgent, config.vision, config.memory)
    return partial(_policy, config.collect, config.task)


def _policy(config: CollectConfig, task: TaskConfig, squash: Squash, seed: int) -> ExploringPolicy:
    random = stream(seed, "collect/actions")
    makers: dict[str, Callable[[], ExploringPolicy]] = {
        "correlated": lambda: _correlated_noise(config, task, squash, random),
        "uniform": lambda: Uniform(squash, random),
        "held": lambda: Held(squash, hold_bounds(config), random),
    }
    return makers[config.policy]()


def _correlated_noise(config: CollectConfig, task: TaskConfig, squash: Squash, random: np.random.Generator) -> Noise:
    """Noise around a mean of the episode's own: M has to see what a car does that is steered in one way for long."""
    mean = explore_mean(task, squash) + config.spread * random.standard_normal(squash.dim)
    return Noise(squash, mean, config.correlation, random)


def explore_mean(task: TaskConfig, squash: Squash) -> NDArray[np.float64]:
    """Mean (A,) of the exploring noise; UserError if the task names another number of entries."""
    mean = task.explore_mean or (0.0,) * squash.dim
    if len(mean) != squash.dim:
        raise UserError(f"task.explore_mean has {len(mean)} entries, but an action of {task.name} has {squash.dim}.")
    return np.array(mean)


def hold_bounds(config: CollectConfig) -> tuple[int, int]:
    """The shortest and the longest hold; UserError if they are the wrong way round."""
    shortest, longest = config.hold
    if shortest > longest:
        raise UserError(f"collect.hold is {shortest} to {longest}: the first should not be larger than the second.")
    return shortest, longest
