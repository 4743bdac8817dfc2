"""A trained agent that explores: it plays as it has learned to, but not quite, and now and then something else.

Its rollouts show M what follows from what C does, and from what C might do next: the paper's section on iterative
training. Each episode has strengths of its own, from none at all to `collect.noise` of the noise on C's outputs, and to
`collect.sigma` of that on C's parameters (exploration in parameter space, Plappert et al. 2018).
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worldmodels.agent import Agent
from worldmodels.config import CollectConfig
from worldmodels.envs.actions import Actions, Squash
from worldmodels.exploration.policies import CorrelatedNormal, draw_hold, hold_bounds
from worldmodels.seeds import stream


class Straying:
    """What becomes of an agent's outputs in one episode.

    Correlated Gaussian noise is added to them before they are squashed, and during a share `collect.astray` of the
    steps a random action is held instead, for times as the `held` policy draws them.
    """

    def __init__(self, squash: Squash, config: CollectConfig, random: np.random.Generator) -> None:
        self._squash, self._random, self._hold = squash, random, hold_bounds(config)
        self._chance = chance_to_stray(config.astray, self._hold)
        self._strength = config.noise * random.random()
        self._noise = CorrelatedNormal(squash.dim, config.correlation, random)
        self._left, self._action = 0, np.zeros(squash.dim, np.float32)

    def act(self, raw: NDArray[np.float32]) -> Actions:
        """The action (A,) that is taken where the agent's outputs are `raw` (A,)."""
        noise = self._noise.next()
        if self._left == 0 and self._random.random() < self._chance:
            self._left = draw_hold(self._hold, self._random)
            self._action = self._squash.random(self._random)
        if self._left > 0:
            self._left -= 1
            return self._action
        return self._squash((raw + self._strength * noise).astype(np.float32)[None])[0]


def chance_to_stray(share: float, hold: tuple[int, int]) -> float:
    """Probability, at each step that is the agent's own, of beginning a hold, for holds to take a share of all steps.

    With a mean hold of m steps and (1 - p) / p steps between two holds, the share is m / (m + (1 - p) / p).
    """
    shortest, longest = hold
    lengths = np.arange(shortest, longest + 1)
    mean = float((lengths * np.log1p(1 / lengths)).sum()) / math.log((longest + 1) / shortest)
    return share / (share + mean * (1 - share))


def varied(parameters: NDArray[np.float32], sigma: float, seed: int) -> NDArray[np.float32]:
    """C's parameters (P,) in the episode with a seed."""
    random = stream(seed, "collect/parameters")
    strength = sigma * random.random()
    return (parameters + strength * random.standard_normal(len(parameters))).astype(np.float32)


class StrayingAgent:
    """A `Policy`: an agent in all lanes, straying in each as the seed of the lane's episode says; item i has seed i."""

    def __init__(self, agent: Agent, config: CollectConfig, lanes: int, seeds: Sequence[int]) -> None:
        self._squash, self._config = agent.squash, config
        candidates = np.stack([varied(agent.parameters, config.sigma, seed) for seed in seeds])
        self._agent = agent.policy(lanes, len(seeds), candidates, np.arange(len(seeds)))
        self._lanes = [self._straying(0)] * lanes

    def _straying(self, seed: int) -> Straying:
        return Straying(self._squash, self._config, stream(seed, "collect/actions"))

    def begin(self, lane: int, item: int, seed: int) -> None:
        """Stray anew."""
        self._agent.begin(lane, item, seed)
        self._lanes[lane] = self._straying(seed)

    def act(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions (B, A) for what is seen (B, F)."""
        pairs = zip(self._lanes, self._agent.raw(features), strict=True)
        return np.stack([lane.act(raw) for lane, raw in pairs])
