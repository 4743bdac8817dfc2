"""PGPE: policy gradients with parameter-based exploration (Sehnke et al. 2010), with ClipUp."""

import math

import numpy as np
from numpy.typing import NDArray

from worldmodels.evolution.optimizers.antithetic import check_even, halves, mirrored
from worldmodels.evolution.optimizers.base import Optimizer, Vector
from worldmodels.evolution.optimizers.clipup import ClipUp
from worldmodels.evolution.optimizers.shaping import centred_ranks

STEPS_A_RADIUS = 30
"""At its highest speed the mean crosses the first search distribution's radius in so many steps; ClipUp's authors take
15, which noise and 64 candidates for 867 parameters turned into a random walk (`benchmarks/noisy_fitness.py`)."""
SIGMA_RATE, SIGMA_CHANGE = 0.1, 0.2
"""Step size of sigma, and the share of itself by which it changes at most, a generation."""


class PGPE(Optimizer):
    """Follows the gradients of the expected rank for the mean mu and the standard deviation sigma of each parameter."""

    def __init__(
        self, dimension: int, population: int, sigma0: float, seed: int, mean: NDArray[np.floating] | None = None
    ) -> None:
        check_even("pgpe", population)
        super().__init__(dimension, population, sigma0, seed, mean)
        self._mu, self._sigma = self._first, np.full(dimension, sigma0)
        self._clipup = ClipUp(dimension, _highest_speed(dimension, sigma0))
        self._epsilon = np.zeros((population // 2, dimension))

    def rescale(self, sigma: float) -> None:
        """Set the mean standard deviation; those of parameters keep their ratios, and the mean slows down with them."""
        self._sigma = self._sigma * (sigma / self.sigma)
        self._clipup.max_speed = _highest_speed(self.dimension, sigma)

    def _sample(self) -> Vector:
        self._epsilon = self._sigma * self._random.standard_normal((self.population // 2, self.dimension))
        return mirrored(self._mu, self._epsilon)

    def _learn(self, fitness: Vector) -> None:
        plus, minus = halves(centred_ranks(fitness))  # r+, r-
        pairs, epsilon, sigma = len(plus), self._epsilon, self._sigma
        slope = (plus - minus) / 2 @ epsilon / pairs  # d mu ~ sum (r+ - r-) / 2 epsilon
        # d sigma ~ sum ((r+ + r-) / 2 - b) (epsilon^2 - sigma^2) / sigma, and ranks have the baseline b = 0
        widen = (plus + minus) / 2 @ ((epsilon**2 - sigma**2) / sigma) / pairs
        limit = SIGMA_CHANGE * sigma
        self._mu = self._mu + self._clipup.step(slope)
        self._sigma = sigma + np.clip(SIGMA_RATE * widen, -limit, limit)

    @property
    def mean(self) -> NDArray[np.float32]:
        """mu (P,)."""
        return self._mu.astype(np.float32)

    @property
    def sigma(self) -> float:
        """Mean standard deviation of a parameter."""
        return float(self._sigma.mean())


def _highest_speed(dimension: int, sigma: float) -> float:
    """How far the mean moves in a step at most: a share of the radius of N(0, sigma^2 I)."""
    return sigma * math.sqrt(dimension) / STEPS_A_RADIUS
