"""Candidates in mirrored pairs, mean + d and mean - d: their difference tells the slope along d without its noise."""

import numpy as np

from worldmodels.errors import UserError
from worldmodels.evolution.optimizers.base import Vector


def check_even(name: str, population: int) -> None:
    """Raise UserError if a population cannot be paired."""
    if population % 2:
        raise UserError(
            f"The optimizer {name} tries candidates in mirrored pairs, so its population has to be even: "
            f"{population - 1} or {population + 1} rather than {population}."
        )


def mirrored(mean: Vector, steps: Vector) -> Vector:
    """Candidates (N, P) of steps (N / 2, P): first those that take them, then those that take the opposite ones."""
    return np.concatenate([mean + steps, mean - steps])


def halves(utilities: Vector) -> tuple[Vector, Vector]:
    """Utilities (N,) of `mirrored` candidates: those of the steps, and those of the opposite ones, (N / 2,) each."""
    plus, minus = np.split(utilities, 2)
    return plus, minus
