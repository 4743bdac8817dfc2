"""What M says about the next latent: Gaussians for continuous dimensions, probabilities of codes for quantised ones."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from worldmodels.codes import code_values, nearest_code
from worldmodels.memory.mixture import LOG_SIGMA_RANGE, Mixture, mixture_from, negative_log_likelihood


class GaussianHead:
    """K Gaussians for each of Z dimensions.

    Attributes:
        parts: numbers that the network gives a component.
        components: K.
        width: numbers that the network gives in all, part by part, each dimension by dimension.
    """

    parts = 3

    def __init__(self, latent_dim: int, components: int) -> None:
        self.latent_dim, self.components = latent_dim, components
        self.width = self.parts * latent_dim * components

    def mixture(self, outputs: Float[Tensor, "*b n"]) -> Mixture:
        """The mixture that the network's outputs stand for."""
        return mixture_from(outputs, self.latent_dim)

    def nll(self, mixture: Mixture, z: Float[Tensor, "*b z"]) -> Float[Tensor, "*b z"]:
        """-log p(z) in nats of each dimension."""
        return negative_log_likelihood(mixture, z)


class CodeHead:
    """Probabilities of L codes for each of Z dimensions, in the form of a mixture: a component a code.

    The components lie at the codes and are as narrow as components may be, so that whoever draws from a mixture draws
    codes, up to a thousandth, at any temperature. Attributes as in `GaussianHead`.
    """

    parts = 1

    def __init__(self, latent_dim: int, levels: int) -> None:
        self.latent_dim, self.components = latent_dim, levels
        self.width = latent_dim * levels

    def mixture(self, outputs: Float[Tensor, "*b n"]) -> Mixture:
        """The mixture with these logits (..., Z L)."""
        logits = outputs.unflatten(-1, (self.latent_dim, self.components))
        mean, log_sigma = (fixed.to(logits.device) for fixed in self.fixed)
        return Mixture(logits, mean.expand_as(logits), log_sigma.expand_as(logits))

    @property
    def fixed(self) -> tuple[Float[Tensor, " l"], Float[Tensor, " l"]]:
        """Means and log standard deviations of a dimension's components."""
        return code_values(self.components), torch.full((self.components,), LOG_SIGMA_RANGE[0])

    def nll(self, mixture: Mixture, z: Float[Tensor, "*b z"]) -> Float[Tensor, "*b z"]:
        """Cross-entropy in nats of each dimension's code, the one nearest to z."""
        target = nearest_code(z, self.components)
        return F.cross_entropy(mixture.logits.movedim(-1, 1), target, reduction="none")


Head = GaussianHead | CodeHead


def head_for(latent_dim: int, mixtures: int, levels: int | None) -> Head:
    """The head for continuous latents (`levels` None) or for those that take so many values a dimension."""
    return GaussianHead(latent_dim, mixtures) if levels is None else CodeHead(latent_dim, levels)
