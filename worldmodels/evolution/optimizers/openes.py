"""OpenAI's evolution strategy (Salimans, Ho, Chen, Sidor & Sutskever 2017)."""

import numpy as np
from numpy.typing import NDArray

from worldmodels.evolution.optimizers.adam import Adam
from worldmodels.evolution.optimizers.antithetic import check_even, halves, mirrored
from worldmodels.evolution.optimizers.base import Optimizer, Vector
from worldmodels.evolution.optimizers.shaping import centred_ranks

RATE = 0.1
"""Adam's step size alpha, in units of sigma: small, because steps are noisy where parameters are many."""


class OpenES(Optimizer):
    """Follows the gradient of the expected rank under isotropic noise of a fixed size, by Adam; no weight decay."""

    def __init__(
        self, dimension: int, population: int, sigma0: float, seed: int, mean: NDArray[np.floating] | None = None
    ) -> None:
        check_even("openes", population)
        super().__init__(dimension, population, sigma0, seed, mean)
        self._theta, self._sigma = self._first, sigma0
        self._adam = Adam(dimension, RATE * sigma0)
        self._epsilon = np.zeros((population // 2, dimension))

    def rescale(self, sigma: float) -> None:
        """Set the noise's standard deviation, and Adam's steps with it."""
        self._sigma, self._adam.rate = sigma, RATE * sigma

    def _sample(self) -> Vector:
        self._epsilon = self._random.standard_normal((self.population // 2, self.dimension))
        return mirrored(self._theta, self._sigma * self._epsilon)

    def _learn(self, fitness: Vector) -> None:
        plus, minus = halves(centred_ranks(fitness))
        gradient = (plus - minus) @ self._epsilon / (self.population * self._sigma)  # 1 / (n sigma) sum_i F_i epsilon_i
        self._theta = self._theta + self._adam.step(gradient)

    @property
    def mean(self) -> NDArray[np.float32]:
        """theta (P,)."""
        return self._theta.astype(np.float32)

    @property
    def sigma(self) -> float:
        """The noise's standard deviation, which stays as it is."""
        return self._sigma
