"""At what age do episodes end? A dream that stays as easy as it begins is not a game that grows harder."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodels.play import Outcomes

AGES = (0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
"""Bounds of the ages that are told apart, in parts of the step limit."""


@dataclass(frozen=True)
class Lifetimes:
    """Ends of a player's episodes in one world, by age.

    Attributes:
        player: a scripted policy, or an agent.
        temperature: of the dream; None in the game.
        ages: bounds of N ages in steps; an end at the later bound belongs to the age.
        steps: steps that all episodes together have spent at each age.
        ends: episodes that ended there of themselves.
    """

    player: str
    temperature: float | None
    ages: tuple[int, ...]
    steps: tuple[int, ...]
    ends: tuple[int, ...]


def lifetimes(player: str, temperature: float | None, lengths: NDArray[np.int64], limit: int) -> Lifetimes:
    """Of episodes of these lengths, none above `limit`; one that is as long has not ended of itself."""
    ages = np.unique(np.round(limit * np.array(AGES)).astype(np.int64))
    steps = (lengths[:, None] - ages[:-1]).clip(0, np.diff(ages)).sum(0)
    ended = np.searchsorted(ages, lengths[lengths < limit]) - 1
    ends = np.bincount(ended, minlength=len(steps))
    return Lifetimes(player, temperature, *(tuple(numbers.tolist()) for numbers in (ages, steps, ends)))


def side_by_side(
    game: Mapping[str, Outcomes], dream: Mapping[str, Outcomes], temperature: float, limit: int
) -> list[Lifetimes]:
    """Of each player in the game, and after it in the dream of that temperature, which may lack some of them."""
    found = []
    for player, real in game.items():
        found.append(lifetimes(player, None, real.lengths, limit))
        if player in dream:
            found.append(lifetimes(player, temperature, dream[player].lengths, limit))
    return found
