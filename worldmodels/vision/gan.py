"""The lecture's GAN at 64x64x3: a generator, a discriminator, and no encoder unless one is fitted afterwards.

`worldmodels.image_gan` says which lecture, and has its GAN at the size that it is printed in.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor, nn

from worldmodels.config import Positive
from worldmodels.errors import UserError
from worldmodels.registry import register_vision
from worldmodels.vision.adversarial import (
    AdversarialModel,
    BatchNormConfig,
    cross_entropy,
    frozen,
    learn,
    verdicts,
)
from worldmodels.vision.base import Posterior, certain
from worldmodels.vision.networks import (
    FEATURES,
    Generator,
    as_images,
    discriminator_layers,
    encoder_layers,
    signed,
)

DROPOUT = 0.4


@dataclass(frozen=True)
class GANConfig(BatchNormConfig):
    """Options of the GAN."""

    discriminator_rate: Positive = 2.0
    """Step size of the discriminator's optimiser, as a multiple of `learning_rate`."""
    inversion: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the steps, the last ones, in which an encoder learns z from G(z) while the game rests. At 0 there is no
    encoder, and the GAN cannot be V in an agent."""


@register_vision("gan")
class GAN(AdversarialModel):
    """A generator z -> 64x64x3 with batch normalisation, and a discriminator with dropout, as in the lecture.

    A step is the lecture's: the discriminator on real frames, the discriminator on fakes, the generator through the
    frozen discriminator. Learns with RMSprop. An encoder fitted by inversion has seen fakes only: on real frames it is
    as good as the fakes are real.
    """

    Config = GANConfig
    config: GANConfig

    def __init__(self, config: GANConfig) -> None:
        super().__init__(config)
        self.generator = Generator(config.decoder, config.latent_dim)
        self.discriminator = nn.Sequential(discriminator_layers(DROPOUT), nn.Linear(FEATURES, 1))
        self.encodes = config.inversion > 0
        if self.encodes:
            self.encoder = nn.Sequential(encoder_layers(), nn.Linear(FEATURES, config.latent_dim))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rate = config.learning_rate
        self.optimizers = {
            "generator": rmsprop(self.generator, rate),
            "discriminator": rmsprop(self.discriminator, rate * config.discriminator_rate),
        }
        if self.encodes:
            self.optimizers["encoder"] = torch.optim.Adam(self.encoder.parameters(), lr=rate, fused=True)

    def encode(self, frames: UInt8[Tensor, "b 64 64 3"]) -> Posterior:
        """Latents of the fakes that look like the frames, to an encoder that was fitted by inversion."""
        if not self.encodes:
            raise UserError(
                "This GAN has no encoder, so it cannot be V in an agent: train it in a new --run with, for example, "
                "vision.inversion = 0.3, or choose a vision.model that encodes."
            )
        images = as_images(frames, next(self.encoder.parameters()).dtype)
        return certain(self.encoder(images).float())

    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 64 64 3"]:
        """What the generator makes of latents, in 0..1."""
        return self.generator(z).permute(0, 2, 3, 1)

    def play(self, images: Float[Tensor, "b 3 64 64"]) -> dict[str, Tensor]:
        """A step of every player; in the last part of the training, one of the encoder alone."""
        if self._inverting:
            self.generator.eval()
            inversion = self._inversion(len(images))
            learn(self.optimizers["encoder"], inversion)
            return {"loss": inversion, "inversion": inversion}
        real = self._logits(images)
        learn(self.optimizers["discriminator"], cross_entropy(real, 1))
        with torch.no_grad():
            fakes = self.generator(self._noise(len(images)))
        fake = self._logits(fakes)
        learn(self.optimizers["discriminator"], cross_entropy(fake, 0))
        with frozen(self.discriminator):
            fooled = cross_entropy(self._logits(self.generator(self._noise(len(images)))), 1)
        learn(self.optimizers["generator"], fooled)
        return {"loss": fooled, "loss_generator": fooled, **verdicts(real, fake)}

    @property
    def _inverting(self) -> bool:
        return self.encodes and self.taken >= (1 - self.config.inversion) * self.config.steps

    def _noise(self, count: int) -> Float[Tensor, "b z"]:
        return torch.randn(count, self.latent_dim, device=next(self.parameters()).device)

    def _logits(self, images: Float[Tensor, "b 3 64 64"]) -> Float[Tensor, "b 1"]:
        return self.discriminator(signed(images)).float()

    def _inversion(self, count: int) -> Float[Tensor, ""]:
        """Mean squared error of the latents of fakes; 1 is that of a guess."""
        z = self._noise(count)
        with torch.no_grad():
            fakes = self.generator(z)
        return F.mse_loss(self.encoder(fakes).float(), z)

    def metrics(self, images: Float[Tensor, "b 3 64 64"]) -> dict[str, Tensor]:
        """The losses of both players and, where there is an encoder, its error."""
        real, fake = self._logits(images), self._logits(self.generator(self._noise(len(images))))
        fooled = cross_entropy(fake, 1)
        inversion = {"inversion": self._inversion(len(images))} if self.encodes else {}
        loss = inversion["inversion"] if self._inverting else fooled
        return {"loss": loss, "loss_generator": fooled, **verdicts(real, fake), **inversion}


def rmsprop(player: nn.Module, rate: float) -> torch.optim.RMSprop:
    """The lecture's optimiser, with the constants of Keras."""
    return torch.optim.RMSprop(player.parameters(), lr=rate, alpha=0.9, eps=1e-7)
