"""CMA-ES by pycma, with a full or with a diagonal covariance."""

import warnings
from collections.abc import Sequence

import cma
import numpy as np
from numpy.typing import NDArray

from worldmodels.evolution.optimizers.base import Optimizer, Vector


class CMAES(Optimizer):
    """Learns the covariance of all P parameters (Hansen & Ostermeier 2001; Hansen 2016)."""

    diagonal = False

    def __init__(
        self, dimension: int, population: int, sigma0: float, seed: int, mean: NDArray[np.floating] | None = None
    ) -> None:
        super().__init__(dimension, population, sigma0, seed, mean)
        options = {
            "popsize": population,
            "randn": self._randn,
            "seed": np.nan,
            "verbose": -9,
            "tolflatfitness": np.inf,
            "CMA_diagonal": self.diagonal,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pycma comments on options that it was given on purpose
            self._strategy = cma.CMAEvolutionStrategy(self._first, sigma0, options)
        self._asked: Sequence[Vector] = []

    def rescale(self, sigma: float) -> None:
        """Set the global step size; the covariance stays."""
        self._strategy.sigma = sigma

    def _randn(self, *shape: int) -> Vector:
        return self._random.standard_normal(shape)

    def _sample(self) -> Sequence[Vector]:
        self._asked = self._strategy.ask()
        return self._asked

    def _learn(self, fitness: Vector) -> None:
        self._strategy.tell(self._asked, list(-fitness))

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean (P,)."""
        return self._strategy.mean.astype(np.float32)

    @property
    def sigma(self) -> float:
        """CMA-ES's global step size."""
        return float(self._strategy.sigma)


class SepCMAES(CMAES):
    """Learns the variance of each parameter only (Ros & Hansen 2008): faster to learn, P numbers instead of P^2."""

    diagonal = True
