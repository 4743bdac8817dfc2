"""Draw the next latent from what M expects, at a temperature."""

import math

from jaxtyping import Float
from torch import Tensor

from worldmodels.memory.mixture import LOG_SIGMA_RANGE
from worldmodels.memory.stepper import Expected


def draw(
    expected: Expected, temperature: float, uniform: Float[Tensor, "b z"], normal: Float[Tensor, "b z"]
) -> Float[Tensor, "b z"]:
    """`worldmodels.memory.mixture.sample` for components before dimensions: the same draws from the same noise.

    k is drawn from the logits / tau by inverting the cumulative distribution, then z = mean_k + sigma_k sqrt(tau) eps.
    """
    if temperature == 0:
        return _of(expected.mean, expected.logits.argmax(1, keepdim=True))
    cumulative = expected.logits / temperature
    cumulative.sub_(cumulative.amax(1, keepdim=True)).exp_()
    for component in range(1, cumulative.shape[1]):
        cumulative[:, component] += cumulative[:, component - 1]
    threshold = uniform * cumulative[:, -1]
    k = (threshold[:, None] >= cumulative[:, :-1]).sum(1, keepdim=True)  # the last takes what rounding leaves
    sigma = _of(expected.log_sigma, k).clamp_(*LOG_SIGMA_RANGE).exp_()
    return sigma.mul_(normal).mul_(math.sqrt(temperature)).add_(_of(expected.mean, k))


def _of(components: Float[Tensor, "b k z"], k: Tensor) -> Float[Tensor, "b z"]:
    """Each dimension's chosen component."""
    return components.gather(1, k).squeeze(1)
