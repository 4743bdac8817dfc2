"""Directions in latent space that stand for something in the game: v = mean(z | attribute) - mean(z | its opposite)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldmodels.envs.state import Label
from worldmodels.measure.probes import fit_linear

TAILS = (0.25, 0.1, 0.02)
"""Shares of the rows that make up either end of a label: the first whose ends lie apart."""
APART = 0.5
"""Standard deviations of the label that have to lie between its two ends."""
FEWEST = 10
"""Rows at either end without which a mean says too little."""


class Attribute(NamedTuple):
    """What moving along a direction should change in a frame.

    Attributes:
        label: whose two ends the direction joins.
        low, high: rows count as the lower end up to `low`, as the upper end from `high` on.
        vector: float32 (Z,), from the mean latent of the lower end to that of the upper one.
        weights, bias: a linear probe of the label, (Z,) and a number, to read it back.
    """

    label: Label
    low: float
    high: float
    vector: NDArray[np.float32]
    weights: NDArray[np.float64]
    bias: float

    def read(self, z: NDArray[np.floating]) -> NDArray[np.float64]:
        """The label (N,) that the probe reads from latents (N, Z)."""
        return z @ self.weights + self.bias


def find_attribute(label: Label, z: NDArray[np.floating], values: NDArray[np.floating]) -> Attribute | None:
    """The attribute of a label from latents (N, Z) and values (N,), NaN where unknown; None if it hardly varies."""
    known = np.isfinite(values)
    z, values = z[known], values[known]
    for tail in TAILS if len(values) else ():
        low, high = np.quantile(values, [tail, 1 - tail])
        lower, upper = values <= low, values >= high
        if high - low > APART * values.std() and min(lower.sum(), upper.sum()) >= FEWEST:
            vector = z[upper].mean(0, dtype=np.float64) - z[lower].mean(0, dtype=np.float64)
            return Attribute(label, float(low), float(high), vector.astype(np.float32), *fit_linear(z, values))
    return None
