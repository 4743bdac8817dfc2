"""A deterministic autoencoder: the baseline without any prior."""

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from worldmodels.registry import register_vision
from worldmodels.vision.base import Posterior, certain
from worldmodels.vision.networks import (
    FEATURES,
    ConvConfig,
    as_images,
    decoder_layers,
    draw,
    encoder_layers,
    squared_error,
)
from worldmodels.vision.single_loss import SingleLossModel

MOMENTUM = 0.1
"""Weight of the newest batch in the running statistics."""


class Standardiser(nn.Module):
    """Running mean and second moment of latents, with which they are brought to mean 0 and variance 1, and back.

    Both stay float32 where the networks become bfloat16: the variance is a small difference of large numbers.
    """

    mean: Tensor
    square: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("square", torch.ones(latent_dim))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Standardiser":
        """Follow to another device, but not to another type."""
        return super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)

    @torch.no_grad()
    def update(self, latents: Float[Tensor, "b z"]) -> None:
        """Take in a batch: each of the last ten or so counts."""
        self.mean.lerp_(latents.mean(0), MOMENTUM)
        self.square.lerp_(latents.square().mean(0), MOMENTUM)

    @property
    def deviation(self) -> Float[Tensor, " z"]:
        """Standard deviation of each dimension."""
        return (self.square - self.mean.square()).clamp(min=1e-8).sqrt()

    def forward(self, latents: Float[Tensor, "b z"]) -> Float[Tensor, "b z"]:
        """Standardised latents."""
        return (latents - self.mean) / self.deviation

    def back(self, standardised: Float[Tensor, "b z"]) -> Float[Tensor, "b z"]:
        """The latents that these stand for."""
        return standardised * self.deviation + self.mean


@register_vision("autoencoder")
class Autoencoder(SingleLossModel):
    """The VAE's networks without noise and without KL; learns with Adam to lower the squared error.

    Nothing holds its latents at any place or scale, so `encode` standardises them as M and C expect them, by running
    statistics that are saved with the weights, and `decode` takes that back. The networks do not see it.
    """

    Config = ConvConfig
    has_prior = False
    config: ConvConfig

    def __init__(self, config: ConvConfig) -> None:
        super().__init__(config)
        self.encoder = encoder_layers()
        self.code = nn.Linear(FEATURES, config.latent_dim)
        self.standardise = Standardiser(config.latent_dim)
        self.expand, self.decoder = decoder_layers(config.decoder, config.latent_dim)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.parameters(), lr=config.learning_rate, fused=True)

    def encode(self, frames: UInt8[Tensor, "b 64 64 3"]) -> Posterior:
        """Standardised latents, all but certain."""
        latents = self.code(self.encoder(as_images(frames, self.code.weight.dtype)))
        return certain(self.standardise(latents).float())

    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 64 64 3"]:
        """Frames in 0..1 of standardised latents."""
        return draw(self.expand, self.decoder, self.standardise.back(z)).permute(0, 2, 3, 1)

    def loss(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """The squared error of a frame; nothing is random."""
        images = as_images(frames, torch.float32)
        latents = self.code(self.encoder(images)).float()
        if self.training:
            self.standardise.update(latents)
        return {"loss": squared_error(draw(self.expand, self.decoder, latents), images).mean()}
