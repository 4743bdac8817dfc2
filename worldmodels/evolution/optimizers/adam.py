"""Adam (Kingma & Ba 2015): steps along a noisy gradient, each coordinate at its own scale."""

import numpy as np

from worldmodels.evolution.optimizers.base import Vector

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Ascends; the coordinates of a step are about `rate` at most."""

    def __init__(self, dimension: int, rate: float) -> None:
        self.rate, self._count = rate, 0
        self._m, self._v = np.zeros(dimension), np.zeros(dimension)

    def step(self, gradient: Vector) -> Vector:
        """The step (P,) to take for a gradient (P,)."""
        self._count += 1
        self._m = BETA_1 * self._m + (1 - BETA_1) * gradient
        self._v = BETA_2 * self._v + (1 - BETA_2) * gradient**2
        m_hat = self._m / (1 - BETA_1**self._count)
        v_hat = self._v / (1 - BETA_2**self._count)
        return self.rate * m_hat / (np.sqrt(v_hat) + EPSILON)
