"""Finite scalar quantisation: a discrete V without a codebook to learn (Mentzer et al. 2023)."""

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor, nn

from worldmodels.codes import code_values, nearest_code
from worldmodels.registry import register_vision
from worldmodels.vision.base import EXACT, Posterior
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


@dataclass(frozen=True)
class FSQConfig(ConvConfig):
    """Options of FSQ."""

    levels: Annotated[int, Field(ge=2, le=256)] = 8
    """Values that each dimension of z takes, evenly from -1 to 1."""


def quantised(raw: Float[Tensor, "b z"], levels: int) -> Float[Tensor, "b z"]:
    """tanh(raw), rounded to the nearest code; its gradient is tanh's, as if there were no rounding."""
    bounded = torch.tanh(raw)
    codes = code_values(levels).to(raw.device)[nearest_code(bounded, levels)]
    return bounded + (codes - bounded).detach()


@register_vision("fsq")
class FSQ(SingleLossModel):
    """The VAE's networks with every latent rounded to one of a few values; learns with Adam to lower the squared error.

    M predicts probabilities of the codes instead of a mixture of Gaussians.
    """

    Config = FSQConfig
    has_prior = False
    config: FSQConfig

    def __init__(self, config: FSQConfig) -> None:
        super().__init__(config)
        self.levels = config.levels
        self.encoder = encoder_layers()
        self.code = nn.Linear(FEATURES, config.latent_dim)
        self.expand, self.decoder = decoder_layers(config.decoder, config.latent_dim)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.parameters(), lr=config.learning_rate, fused=True)

    def encode(self, frames: UInt8[Tensor, "b 64 64 3"]) -> Posterior:
        """Codes, without any noise."""
        z = self._encode(as_images(frames, self.code.weight.dtype))
        return Posterior(z, torch.full_like(z, EXACT))

    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 64 64 3"]:
        """Frames in 0..1 of codes."""
        return draw(self.expand, self.decoder, z).permute(0, 2, 3, 1)

    def _encode(self, images: Float[Tensor, "b 3 64 64"]) -> Float[Tensor, "b z"]:
        return quantised(self.code(self.encoder(images)).float(), self.config.levels)

    def loss(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """The squared error of a frame, and how many codes a dimension uses; nothing is random."""
        images = as_images(frames, torch.float32)
        z = self._encode(images)
        reconstruction = squared_error(draw(self.expand, self.decoder, z), images).mean()
        return {"loss": reconstruction, "codes_used": codes_used(z, self.config.levels)}


@torch.no_grad()
def codes_used(z: Float[Tensor, "b z"], levels: int) -> Float[Tensor, ""]:
    """Perplexity of the codes of a batch, averaged over dimensions: 1 is a dead dimension, `levels` the most."""
    share = nn.functional.one_hot(nearest_code(z, levels), levels).float().mean(0)  # (Z, L)
    return torch.exp(torch.special.entr(share).sum(1)).mean()
