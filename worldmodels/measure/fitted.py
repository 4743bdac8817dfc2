"""New latents for models of any kind, with a prior or without: a Gaussian fitted to the latents that frames have."""

import numpy as np
from numpy.typing import NDArray


def fitted_samples(
    mu: NDArray[np.float32], logvar: NDArray[np.float32], count: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Latents (count, Z) of the Gaussian with the mean and covariance of the mixture of N posteriors (N, Z).

    Ghosh et al. 2020, "From variational to deterministic autoencoders", sample deterministic models so.
    """
    covariance = np.cov(mu, rowvar=False).reshape(mu.shape[1], -1) + np.diag(np.exp(logvar).mean(0))
    return random.multivariate_normal(mu.mean(0), covariance, count, method="eigh").astype(np.float32)
