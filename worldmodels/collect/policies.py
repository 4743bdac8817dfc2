"""Policies that explore: each sees frames (or ignores them) and gives actions for one episode."""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.config import CollectConfig, Config, TaskConfig
from worldmodels.controller.linear import LinearController, outputs
from worldmodels.envs.actions import Actions, Squash
from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.seeds import stream, torch_seed
from worldmodels.vision.base import build_vision
from worldmodels.world_model import WorldModel

MAX_STANDARD_DEVIATION = 0.01
"""The paper's code draws a random agent's weights with a standard deviation between 0 and this."""


class ExploringPolicy(Protocol):
    """Acts in one episode."""

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

    def __init__(self, squash: Squash, mean: NDArray, correlation: float, random: np.random.Generator) -> None:
        self._squash, self._mean = squash, mean
        self._process = CorrelatedNormal(len(mean), correlation, random)

    def act(self, frame: NDArray[np.uint8]) -> Actions:
        """The next action."""
        return self._squash((self._mean + self._process.next()).astype(np.float32)[None])[0]


class Held:
    """Uniform actions, each held for a number of steps drawn log-uniformly between two bounds."""

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

    def __init__(self, squash: Squash, random: np.random.Generator) -> None:
        self._squash, self._random = squash, random

    def act(self, frame: NDArray[np.uint8]) -> Actions:
        """A random action."""
        return self._squash.random(self._random)


class RandomAgent:
    """The paper's way to collect: V, M and C with random weights, as small as the authors' code draws them."""

    def __init__(self, config: Config, squash: Squash, seed: int) -> None:
        generator = torch.Generator().manual_seed(torch_seed(seed, "collect/random agent"))
        spread = MAX_STANDARD_DEVIATION * float(torch.rand((), generator=generator))
        vision = build_vision(config.vision).eval()
        memory = MDNRNN(config.memory, vision.latent_dim, squash.dim, vision.levels).eval()
        form = LinearController(vision.latent_dim + config.memory.hidden, squash.dim, bias=True)
        with torch.no_grad():
            for parameter in (*vision.parameters(), *(p for p in memory.parameters() if p.requires_grad)):
                parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
        self._controller = form.weights(spread * torch.randn(1, form.parameters, generator=generator).numpy())
        self._world_model, self._squash = WorldModel(vision, memory, lanes=1), squash

    def act(self, frame: NDArray[np.uint8]) -> Actions:
        """What the random agent does."""
        raw = outputs(*self._controller, self._world_model.observe(frame[None]))
        actions = self._squash(raw.numpy())
        self._world_model.remember(actions)
        return actions[0]


def exploring_policy(config: Config, squash: Squash, seed: int) -> ExploringPolicy:
    """The policy `config.collect.policy` for the episode with the given seed."""
    random = stream(seed, "collect/actions")
    makers: dict[str, Callable[[], ExploringPolicy]] = {
        "correlated": lambda: _correlated_noise(config, squash, random),
        "uniform": lambda: Uniform(squash, random),
        "held": lambda: Held(squash, hold_bounds(config.collect), random),
        "random_agent": lambda: RandomAgent(config, squash, seed),
    }
    return makers[config.collect.policy]()


def _correlated_noise(config: Config, squash: Squash, random: np.random.Generator) -> Noise:
    """Noise around a mean of the episode's own: M has to see what a car does that is steered in one way for long."""
    mean = explore_mean(config.task, squash) + config.collect.spread * random.standard_normal(squash.dim)
    return Noise(squash, mean, config.collect.correlation, random)


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
