"""Two predictors that M must beat, or it has learned nothing: no change, and no memory."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from worldmodels.memory.mixture import LOG_SIGMA_RANGE, Mixture, negative_log_likelihood

EM_ROUNDS = 50


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
