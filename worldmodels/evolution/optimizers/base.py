"""What every optimiser of C is: ask, evaluate, tell; and every sample a function of (seed, generation)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from worldmodels.errors import UserError
from worldmodels.seeds import stream

Vector = NDArray[np.float64]
BLAS = ThreadpoolController()
"""Its products round otherwise with another number of threads, which differs from one machine to the next."""


class Optimizer(ABC):
    """Maximises.

    The state after g generations follows from the seed, the first mean and the fitnesses told in them: asking and
    telling a new object the same fitnesses brings it to the same state, so nothing but the fitnesses has to be stored
    to resume.

    Args:
        dimension: parameters P of a candidate.
        population: candidates N a generation.
        sigma0: first step size: standard deviation of a candidate's parameter.
        seed: of all samples.
        mean: the first mean (P,); zeros if not given.

    Raises:
        UserError: the optimiser cannot work with such a population.
    """

    def __init__(
        self, dimension: int, population: int, sigma0: float, seed: int, mean: NDArray[np.floating] | None = None
    ) -> None:
        self.dimension, self.population, self.generation = dimension, population, 0
        self._seed = seed
        self._first = np.zeros(dimension) if mean is None else np.asarray(mean, np.float64)
        self._random = stream(seed, "evolution/samples", 0)

    def ask(self) -> NDArray[np.float32]:
        """The candidates (N, P) of the next generation; UserError if the step size makes numbers beyond float32."""
        self._random = stream(self._seed, "evolution/samples", self.generation)
        with BLAS.limit(limits=1, user_api="blas"), np.errstate(over="ignore", invalid="ignore"):
            candidates = np.asarray(self._sample()).astype(np.float32)
        if not np.isfinite(candidates).all():
            raise UserError(
                f"The candidates of generation {self.generation} are not finite numbers, at a step size of "
                f"{self.sigma:.3g}: choose a smaller sigma0, or a sigma_schedule that keeps it small."
            )
        return candidates

    def tell(self, fitness: Vector) -> None:
        """Learn from the fitness (N,) of the candidates last asked for; more is better.

        Raises:
            UserError: a fitness is not a finite number.
        """
        if not np.isfinite(fitness).all():
            raise UserError(
                f"The fitness of a candidate of generation {self.generation} is not a finite number: "
                "the game or M's reward head is damaged."
            )
        with BLAS.limit(limits=1, user_api="blas"):
            self._learn(fitness)
        self.generation += 1

    @abstractmethod
    def rescale(self, sigma: float) -> None:
        """Go on with the step size `sigma`, from the mean, and with what else has been learned of the distribution."""

    @abstractmethod
    def _sample(self) -> Sequence[Vector] | Vector:
        """N candidates (P,), drawn from `self._random`."""

    @abstractmethod
    def _learn(self, fitness: Vector) -> None:
        """Update the distribution."""

    @property
    @abstractmethod
    def mean(self) -> NDArray[np.float32]:
        """Mean of the search distribution (P,): what is validated and shipped."""

    @property
    @abstractmethod
    def sigma(self) -> float:
        """Step size: by how much a candidate's parameters differ from the mean."""
