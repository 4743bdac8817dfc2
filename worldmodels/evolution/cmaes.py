"""CMA-ES whose every sample is a function of (seed, generation), so that it is resumed by replaying its fitnesses."""

import warnings
from collections.abc import Sequence

import cma
import numpy as np
from numpy.typing import NDArray

from worldmodels.seeds import stream


class CMAES:
    """Maximises with pycma's CMA-ES; ask, evaluate, tell.

    The state after g generations follows from the seed and the fitnesses told in them: telling a new object the same
    fitnesses brings it to the same state, without a stored copy of the covariance.

    Args:
        dimension: parameters P of a candidate.
        population: candidates N a generation.
        sigma0: first step size; the first mean is zero.
        seed: of all samples.
    """

    def __init__(self, dimension: int, population: int, sigma0: float, seed: int) -> None:
        self.generation, self._seed = 0, seed
        options = {"popsize": population, "randn": self._randn, "seed": np.nan, "verbose": -9, "tolflatfitness": np.inf}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pycma comments on options that it was given on purpose
            self._strategy = cma.CMAEvolutionStrategy(np.zeros(dimension), sigma0, options)
        self._asked: Sequence[NDArray[np.float64]] = []

    def _randn(self, *shape: int) -> NDArray[np.float64]:
        return self._random.standard_normal(shape)

    def ask(self) -> NDArray[np.float32]:
        """The candidates (N, P) of the next generation."""
        self._random = stream(self._seed, "evolution/samples", self.generation)
        self._asked = self._strategy.ask()
        return np.stack(self._asked).astype(np.float32)

    def tell(self, fitness: NDArray[np.float64]) -> None:
        """Learn from the fitness (N,) of the candidates last asked for; more is better."""
        self._strategy.tell(self._asked, list(-fitness))
        self.generation += 1

    @property
    def mean(self) -> NDArray[np.float32]:
        """Mean of the search distribution (P,): what is validated and shipped."""
        return self._strategy.mean.astype(np.float32)

    @property
    def sigma(self) -> float:
        """Step size."""
        return float(self._strategy.sigma)
