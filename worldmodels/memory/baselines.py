"""Two predictors that M must beat, or it has learned nothing: no change, and no memory."""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from worldmodels.codes import nearest_code
from worldmodels.data.latents import Latents
from worldmodels.errors import UserError
from worldmodels.memory.heads import CodeHead, Head
from worldmodels.memory.mixture import LOG_SIGMA_RANGE, Mixture, negative_log_likelihood
from worldmodels.seeds import stream

BASELINE_ROWS = 10_000
"""Transitions that the baselines are fitted to, and tested on."""
EM_ROUNDS = 50


def verdict(nll: float, baselines: Mapping[str, float]) -> str:
    """What M's negative log-likelihood says beside the baselines', in a sentence."""
    compared = f"no change {baselines['no_change']:.3f}, no memory {baselines['no_memory']:.3f}"
    if nll < min(baselines.values()):
        return f"M predicts with {nll:.3f} nats a dimension, better than its baselines ({compared})."
    return (
        f"M predicts with {nll:.3f} nats a dimension, NO better than its baselines ({compared}): "
        "train it longer (memory.steps), on more rollouts, or on a better V."
    )


def baseline_nll(
    latents: Latents, training: NDArray[np.int64], validation: NDArray[np.int64], head: Head, seed: int
) -> dict[str, float]:
    """Nats a dimension of the two baselines on held-out transitions; UserError if there are none."""
    fitted = _transitions(latents, training, stream(seed, "memory/baselines", 0))
    tested = _transitions(latents, validation, stream(seed, "memory/baselines", 1))
    if isinstance(head, CodeHead):
        levels = head.components
        before, after, before_tested, after_tested = (nearest_code(z, levels) for z in (*fitted, *tested))
        return {
            "no_change": no_change_code_nll(before, after, before_tested, after_tested, levels),
            "no_memory": no_memory_code_nll(after, after_tested, levels),
        }
    return {
        "no_change": no_change_nll(*fitted, *tested),
        "no_memory": no_memory_nll(fitted[1], tested[1], head.components),
    }


def _transitions(
    latents: Latents, episodes: NDArray[np.int64], random: np.random.Generator
) -> tuple[Float[Tensor, "n z"], Float[Tensor, "n z"]]:
    """Latents (N, Z) drawn at random steps, and those that follow them."""
    inner = np.concatenate([np.arange(latents.starts[e], latents.starts[e + 1] - 1) for e in episodes])
    if len(inner) == 0:
        raise UserError("The episodes are one step long, so there is nothing to predict in them: collect longer ones.")
    rows = np.sort(random.choice(inner, min(BASELINE_ROWS, len(inner)), replace=False))

    def drawn(at: NDArray[np.int64]) -> Tensor:
        posterior = latents.posterior(at)
        return posterior.sample(torch.from_numpy(random.standard_normal(posterior.mu.shape, np.float32)))

    return drawn(rows), drawn(rows + 1)


def no_change_nll(
    z: Float[Tensor, "n z"],
    following: Float[Tensor, "n z"],
    z_test: Float[Tensor, "m z"],
    following_test: Float[Tensor, "m z"],
) -> float:
    """Nats a dimension of "z' = z" with a Gaussian for each dimension, fitted on (z, following), on the test pairs."""
    change = following - z
    mean, variance = change.mean(0), change.var(0, correction=0).clamp(min=math.exp(2 * LOG_SIGMA_RANGE[0]))
    residual = following_test - z_test - mean
    return float((0.5 * (residual.square() / variance + variance.log() + math.log(2 * math.pi))).mean())


def no_memory_nll(following: Float[Tensor, "n z"], following_test: Float[Tensor, "m z"], components: int) -> float:
    """Nats a dimension of a mixture for each dimension that ignores the past, on the test latents."""
    mixture = fit_mixture(following, components)
    return float(negative_log_likelihood(mixture, following_test).mean())


def no_change_code_nll(
    code: Int[Tensor, "n z"],
    following: Int[Tensor, "n z"],
    code_test: Int[Tensor, "m z"],
    following_test: Int[Tensor, "m z"],
    levels: int,
) -> float:
    """Nats a dimension of "the code stays": each dimension's chance that it does, all other codes alike."""
    stays = ((code == following).sum(0) + 1) / (len(code) + 2)  # (Z,), Laplace's rule
    chance = torch.where(code_test == following_test, stays, (1 - stays) / (levels - 1))
    return float(-chance.log().mean())


def no_memory_code_nll(following: Int[Tensor, "n z"], following_test: Int[Tensor, "m z"], levels: int) -> float:
    """Nats a dimension of how often each dimension takes each code, on the test latents."""
    share = (F.one_hot(following, levels).sum(0) + 1) / (len(following) + levels)  # (Z, L)
    return float(-share.log().T.gather(0, following_test).mean())


def fit_mixture(z: Float[Tensor, "n z"], components: int) -> Mixture:
    """Maximum-likelihood mixture (Z, K) of each dimension by expectation-maximisation, started at quantiles."""
    quantiles = (torch.arange(components) + 0.5) / components
    mean = torch.quantile(z, quantiles, dim=0).T.contiguous()  # (Z, K)
    log_sigma = z.std(0).clamp(min=1e-3).log()[:, None].expand_as(mean) - math.log(components)
    logits = torch.zeros_like(mean)
    for _ in range(EM_ROUNDS):
        standardised = (z[..., None] - mean) * torch.exp(-log_sigma)
        share = torch.softmax(logits - log_sigma - 0.5 * standardised.square(), -1)  # (N, Z, K)
        weight = share.sum(0).clamp(min=1e-6)
        mean = (share * z[..., None]).sum(0) / weight
        variance = (share * (z[..., None] - mean).square()).sum(0) / weight
        log_sigma = (0.5 * variance.clamp(min=1e-12).log()).clamp(*LOG_SIGMA_RANGE)
        logits = (weight / len(z)).log()
    return Mixture(logits, mean, log_sigma)
