"""ClipUp (Toklu, Liskowski & Srivastava 2020): steps whose length does not depend on the gradient's."""

import numpy as np

from worldmodels.evolution.optimizers.base import Vector

MOMENTUM = 0.9


class ClipUp:
    """Ascends with momentum at a speed of at most `max_speed`, to which half as much is added at every step."""

    def __init__(self, dimension: int, max_speed: float) -> None:
        self.max_speed = max_speed
        self._velocity = np.zeros(dimension)

    def step(self, gradient: Vector) -> Vector:
        """The step (P,) to take for a gradient (P,); none is added for a gradient of zero."""
        length = float(np.linalg.norm(gradient))
        push = self.max_speed / 2 * gradient / length if length > 0 else 0  # alpha g / |g|
        velocity = MOMENTUM * self._velocity + push
        speed = float(np.linalg.norm(velocity))
        self._velocity = velocity * (self.max_speed / max(speed, self.max_speed))
        return self._velocity
