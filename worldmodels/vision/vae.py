"""The paper's convolutional VAE (appendix A.1)."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from worldmodels.config import NonNegative
from worldmodels.registry import register_vision
from worldmodels.vision.base import Posterior
from worldmodels.vision.networks import (
    FEATURES,
    ConvConfig,
    as_images,
    decoder_layers,
    draw,
    encoder_layers,
    fourth_powers,
    squared_error,
)
from worldmodels.vision.single_loss import SingleLossModel

DEAD_NATS = 0.01
"""A dimension whose average KL is below this carries nothing: M and C could do without it."""


@dataclass(frozen=True)
class VAEConfig(ConvConfig):
    """Options of the VAE."""

    beta: NonNegative = 1.0
    """Weight of the KL term."""
    kl_floor: NonNegative = 0.5
    """Free nats a latent dimension: the KL counts only above them."""
    floor_on: Literal["total", "dimension"] = "total"
    """The floor is `kl_floor * latent_dim` on the whole KL of a frame, as in the paper's code, or `kl_floor` on each
    dimension's average over the batch (Kingma et al. 2016), so that no dimension lives on what another saves."""
    outlier_weight: NonNegative = 0.0
    """Weight of the fourth powers of the errors beside their squares. What is small and bright, as a fireball is, costs
    few squares where it is left out, and many fourth powers; the paper has none."""


def kl_to_standard_normal(posterior: Posterior) -> Float[Tensor, "b z"]:
    """KL(N(mu, sigma^2) || N(0, 1)) of each dimension in nats: 1/2 (sigma^2 + mu^2 - log sigma^2 - 1)."""
    mu, logvar = posterior
    return 0.5 * (logvar.exp() + mu.square() - logvar - 1)


def floored(kl: Float[Tensor, "b z"], config: VAEConfig) -> Float[Tensor, "#b"]:
    """The KL of each frame (or of the average one) in nats, of which only what lies above the floor pulls."""
    if config.floor_on == "dimension":
        return kl.mean(0).clamp(min=config.kl_floor).sum()[None]
    return kl.sum(1).clamp(min=config.kl_floor * kl.shape[1])


@register_vision("vae")
class VAE(SingleLossModel):
    """Encoder 64x64x3 -> 2x2x256 -> (mu, logvar), decoder z -> 1x1x1024 -> 64x64x3; 4,348,547 parameters at z = 32.

    The loss of a frame is the *sum* over pixels of squared errors plus its KL, which counts only above `kl_floor`
    nats a dimension (averaging over pixels instead makes the KL win and the posterior collapse). Learns with Adam.
    """

    Config = VAEConfig
    config: VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__(config)
        self.encoder = encoder_layers()
        self.mu = nn.Linear(FEATURES, config.latent_dim)
        self.logvar = nn.Linear(FEATURES, config.latent_dim)
        self.expand, self.decoder = decoder_layers(config.decoder, config.latent_dim)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.parameters(), lr=config.learning_rate, fused=True)

    def encode(self, frames: UInt8[Tensor, "b 64 64 3"]) -> Posterior:
        """Posterior (mu, log sigma^2) of frames."""
        return self._encode(as_images(frames, self.mu.weight.dtype))

    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 64 64 3"]:
        """Mean frames in 0..1 of latents."""
        return draw(self.expand, self.decoder, z).permute(0, 2, 3, 1)

    def _encode(self, images: Float[Tensor, "b 3 64 64"]) -> Posterior:
        features = self.encoder(images)
        return Posterior(self.mu(features).float(), self.logvar(features).float())

    def loss(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """Metrics averaged over frames; `loss` is what is minimised, in nats up to a constant."""
        images = as_images(frames, torch.float32)
        generator = torch.Generator(images.device).manual_seed(seed)
        noise = torch.randn(len(images), self.latent_dim, generator=generator, device=images.device)
        return self.elbo(images, noise)[0]

    def elbo(
        self, images: Float[Tensor, "b 3 64 64"], noise: Float[Tensor, "b z"]
    ) -> tuple[dict[str, Tensor], Float[Tensor, "b 3 64 64"]]:
        """Metrics averaged over images, and the reconstructions that they are of."""
        posterior = self._encode(images)
        decoded = draw(self.expand, self.decoder, posterior.sample(noise))
        reconstruction = squared_error(decoded, images)  # (B,)
        kl = kl_to_standard_normal(posterior)  # (B, Z)
        loss = reconstruction + self.config.beta * floored(kl, self.config)
        if self.config.outlier_weight:
            loss = loss + self.config.outlier_weight * fourth_powers(decoded, images)
        metrics = {
            "loss": loss.mean(),
            "reconstruction": reconstruction.mean(),
            "kl": kl.sum(1).mean(),
            "dead_dimensions": (kl.mean(0) < DEAD_NATS).sum(),
        }
        return metrics, decoded
