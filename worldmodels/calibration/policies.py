"""Scripted policies: what C might do before it has learned better, from restless to stubborn."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.config import TaskConfig
from worldmodels.envs.actions import Actions, Squash
from worldmodels.exploration.policies import explore_mean
from worldmodels.noise import uniform
from worldmodels.play import Policy

OWN_NOISE = 1 << 40
"""Added to an episode's seed, so that its policy does not draw the numbers which its dream draws."""


class HeldActions:
    """Uniformly random actions, each held for a number of steps that is drawn log-uniformly between two bounds.

    What is done at a step of an episode is a function of the episode's seed, whatever the lane.

    Args:
        squash: the game's actions.
        hold: shortest and longest hold.
        lanes: number of lanes B.
    """

    def __init__(self, squash: Squash, hold: tuple[int, int], lanes: int) -> None:
        self._squash, self._hold = squash, hold
        self._seed, self._step, self._left = (np.zeros(lanes, np.int64) for _ in range(3))
        self._action = np.zeros((lanes, squash.dim), np.float32)

    def begin(self, lane: int, item: int, seed: int) -> None:
        """Draw from the episode's own noise."""
        self._seed[lane], self._step[lane], self._left[lane] = seed + OWN_NOISE, 0, 0

    def act(self, features: NDArray[np.float32]) -> Actions:
        """The actions held now."""
        drawn = uniform(torch.from_numpy(self._seed), torch.from_numpy(self._step), self._squash.dim + 1).numpy()
        fresh = self._left == 0
        shortest, longest = self._hold
        ratio = math.log((longest + 1) / shortest)
        hold = np.floor(shortest * np.exp(drawn[fresh, -1].astype(np.float64) * ratio)).astype(np.int64)
        self._left[fresh] = hold.clip(shortest, longest)
        self._action[fresh] = self._squash.scattered(drawn[fresh, :-1])
        self._left -= 1
        self._step += 1
        return self._action.copy()


class ConstantAction:
    """The same action (A,) at every step."""

    def __init__(self, action: Actions, lanes: int) -> None:
        self._actions = np.tile(action, (lanes, 1))

    def begin(self, lane: int, item: int, seed: int) -> None:
        """Nothing to prepare."""

    def act(self, features: NDArray[np.float32]) -> Actions:
        """The action, for every lane."""
        return self._actions


class Cast:
    """Several policies at once: item i is played by `policies[roles[i]]`."""

    def __init__(self, policies: Sequence[Policy], roles: NDArray[np.int64], lanes: int) -> None:
        self._policies, self._roles = policies, roles
        self._role = np.zeros(lanes, np.int64)

    def begin(self, lane: int, item: int, seed: int) -> None:
        """Put the item's policy in charge of a lane."""
        self._role[lane] = self._roles[item]
        self._policies[self._roles[item]].begin(lane, item, seed)

    def act(self, features: NDArray[np.float32]) -> Actions:
        """Every lane's policy acts."""
        proposed = np.stack([policy.act(features) for policy in self._policies])  # (P, B, A)
        return proposed[self._role, np.arange(len(self._role))]


def scripted_policies(task: TaskConfig, squash: Squash) -> dict[str, Callable[[int], Policy]]:
    """The policies for a game by name, each to be made for a number of lanes.

    A continuous game's extremes hold one entry of the action at a bound and the others at the exploring policies' mean;
    a discrete game's hold each of its choices.
    """
    held = {"new every step": (1, 1), "held 1-10": (1, 10), "held 50-400": (50, 400)}
    policies: dict[str, Callable[[int], Policy]] = {
        name: partial(HeldActions, squash, hold) for name, hold in held.items()
    }
    for name, action in constant_actions(task, squash).items():
        policies[name] = partial(ConstantAction, action)
    return policies


def constant_actions(task: TaskConfig, squash: Squash) -> dict[str, Actions]:
    """Actions worth holding for ever: standing still, where the game has that, and the extremes; none of them twice."""
    named: dict[str, Actions] = {}
    if squash.choices:
        picks = _picks(squash.choices)
        actions = list(squash.of_picks(np.array(picks)))
        names = [", ".join(map(str, numbers)) for numbers in picks]
    else:
        still = np.zeros(squash.dim, np.float32).clip(squash.low, squash.high, dtype=np.float32)
        named["still"] = still
        rest = squash(explore_mean(task, squash).astype(np.float32)[None])[0]
        ends = enumerate(zip(squash.low, squash.high, strict=True))
        actions = [_with(rest, entry, bound) for entry, bounds in ends for bound in bounds]
        names = [", ".join(f"{value:.2g}" for value in action) for action in actions]
    for name, action in zip(names, actions, strict=True):
        if not any(np.array_equal(action, other) for other in named.values()):
            named[f"always {name}"] = action
    return named


def _with(action: Actions, entry: int, value: float) -> Actions:
    changed = action.astype(np.float32)
    changed[entry] = value
    return changed


def _picks(choices: Sequence[int]) -> list[list[int]]:
    """Each option of each choice, the others being at their first."""
    return [
        [option if other == choice else 0 for other in range(len(choices))]
        for choice, size in enumerate(choices)
        for option in range(size)
    ]
