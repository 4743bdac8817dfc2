"""What a latent tells a linear map: how well the game's state can be read from it."""

import numpy as np
from numpy.typing import NDArray

RIDGE = 1e-3
"""Penalty on the weights of standardised latents, as a share of the number of rows."""
FEWEST = 2
"""Rows that have a label, on either side, without which there is nothing to say."""
LEAST_VARIANCE = 0.01
"""Share of the training rows' variance that the test rows need: R^2 divides by theirs."""


def linear_probe(
    z: NDArray[np.floating],
    label: NDArray[np.floating],
    z_test: NDArray[np.floating],
    label_test: NDArray[np.floating],
) -> float | None:
    """R^2 on the test rows of the ridge regression of a label (N,) on latents (N, Z).

    1 is perfect and 0 as good as the test rows' mean; other episodes may make it negative. Rows whose label is NaN are
    left out. None if too few are left, or the label hardly varies on the test rows.
    """
    known, known_test = np.isfinite(label), np.isfinite(label_test)
    if min(known.sum(), known_test.sum()) < FEWEST:
        return None
    if label_test[known_test].var() <= LEAST_VARIANCE * label[known].var():
        return None
    weights, bias = fit_linear(z[known], label[known])
    truth = label_test[known_test].astype(np.float64)
    residual = truth - (z_test[known_test] @ weights + bias)
    return float(1 - (residual**2).sum() / ((truth - truth.mean()) ** 2).sum())


def fit_linear(z: NDArray[np.floating], label: NDArray[np.floating]) -> tuple[NDArray[np.float64], float]:
    """Weights (Z,) and bias of the ridge regression of a label (N,) on latents (N, Z)."""
    mean, deviation = z.mean(0, dtype=np.float64), z.std(0, dtype=np.float64)
    deviation = np.where(deviation > 0, deviation, 1)
    standardised = (z - mean) / deviation
    centre = float(label.mean(dtype=np.float64))
    gram = standardised.T @ standardised + RIDGE * len(z) * np.eye(z.shape[1])
    weights = np.linalg.solve(gram, standardised.T @ (label - centre)) / deviation
    return weights, centre - float(mean @ weights)
