"""Adversarially learned inference: a discriminator of pairs (frame, latent) teaches generator and encoder at once."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from worldmodels.config import NonNegative
from worldmodels.registry import register_vision
from worldmodels.vision.adversarial import (
    AdversarialModel,
    BatchNormConfig,
    cross_entropy,
    verdicts,
)
from worldmodels.vision.base import Posterior
from worldmodels.vision.layers import Dropout
from worldmodels.vision.networks import (
    FEATURES,
    Generator,
    as_images,
    discriminator_layers,
    encoder_layers,
    signed,
    squared_error,
)

DROPOUT = 0.2
JOINT = 512
"""Features of z, and of the pair."""
LOGVAR_RANGE = (-8.0, 2.0)
BETAS = (0.5, 0.999)
"""Adam's, as both papers have them."""


@dataclass(frozen=True)
class BiGANConfig(BatchNormConfig):
    """Options of the BiGAN."""

    cycle: NonNegative = 0.1
    """Weight of the squared error of G(E(x)) (Li et al. 2017): without it nothing but the game makes a frame come back
    as itself. 0 is adversarially learned inference to the letter."""


class JointDiscriminator(nn.Module):
    """Log-odds (B, 1) that a pair of an image in 0..1 and a latent is a real image with its encoding."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.image = discriminator_layers(0.0)
        self.latent = nn.Sequential(nn.Linear(latent_dim, JOINT), nn.LeakyReLU(0.2))
        self.pair = nn.Sequential(
            Dropout(DROPOUT),
            nn.Linear(FEATURES + JOINT, JOINT),
            nn.LeakyReLU(0.2),
            Dropout(DROPOUT),
            nn.Linear(JOINT, 1),
        )

    def forward(self, images: Float[Tensor, "b 3 64 64"], z: Float[Tensor, "b z"]) -> Float[Tensor, "b 1"]:
        """The log-odds."""
        return self.pair(torch.cat([self.image(signed(images)), self.latent(z)], 1)).float()


@register_vision("bigan")
class BiGAN(AdversarialModel):
    """Encoder x -> N(mu, sigma^2), generator z -> x, and a discriminator of (x, E(x)) against (G(z), z).

    Where the discriminator cannot tell, both pairs have one distribution, so that E inverts G (Dumoulin et al. 2017,
    Donahue et al. 2017). All learn with Adam.
    """

    Config = BiGANConfig
    config: BiGANConfig

    def __init__(self, config: BiGANConfig) -> None:
        super().__init__(config)
        self.encoder = encoder_layers()
        self.mu = nn.Linear(FEATURES, config.latent_dim)
        self.logvar = nn.Linear(FEATURES, config.latent_dim)
        self.generator = Generator(config.decoder, config.latent_dim)
        self.discriminator = JointDiscriminator(config.latent_dim)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rate = config.learning_rate
        self.optimizers = {
            "encoder and generator": torch.optim.Adam(self._players, lr=rate, betas=BETAS, fused=True),
            "discriminator": torch.optim.Adam(
                self.discriminator.parameters(), lr=rate * config.discriminator_rate, betas=BETAS, fused=True
            ),
        }

    def encode(self, frames: UInt8[Tensor, "b 64 64 3"]) -> Posterior:
        """Posterior (mu, log sigma^2) of frames."""
        return self._encode(as_images(frames, self.mu.weight.dtype))

    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 64 64 3"]:
        """What the generator makes of latents, in 0..1."""
        return self.generator(z).permute(0, 2, 3, 1)

    def _encode(self, images: Float[Tensor, "b 3 64 64"]) -> Posterior:
        features = self.encoder(images)
        return Posterior(self.mu(features).float(), self.logvar(features).float().clamp(*LOGVAR_RANGE))

    def play(self, images: Float[Tensor, "b 3 64 64"]) -> dict[str, Tensor]:
        """A step of both sides, each down its own loss, from one judgement (as in Dumoulin et al., algorithm 1)."""
        z, encoded, made = self._pairs(images)
        real, fake = self._logits(images, encoded, made, z)
        judged, metrics = verdicts(real, fake), self._losses(images, encoded, real, fake)
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        judged["loss_discriminator"].backward(inputs=[*self.discriminator.parameters()], retain_graph=True)
        metrics["loss"].backward(inputs=self._players)
        for optimizer in self.optimizers.values():
            optimizer.step()
        return metrics | judged

    @property
    def _players(self) -> list[nn.Parameter]:
        """Weights of encoder and generator."""
        return [p for module in (self.encoder, self.mu, self.logvar, self.generator) for p in module.parameters()]

    def _pairs(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents of the prior, samples of the encoder's posterior, and images made of the former."""
        z, noise = torch.randn(2, len(images), self.latent_dim, device=images.device)
        return z, self._encode(images).sample(noise), self.generator(z)

    def _logits(self, images: Tensor, encoded: Tensor, made: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        real, fake = self.discriminator(torch.cat([images, made]), torch.cat([encoded, z])).chunk(2)
        return real, fake

    def _losses(self, images: Tensor, encoded: Tensor, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """What encoder and generator want: to be taken for one another, and that frames come back."""
        fooled = 0.5 * (cross_entropy(real, 0) + cross_entropy(fake, 1))
        reconstruction = squared_error(self.generator(encoded), images).mean()
        loss = fooled + self.config.cycle * reconstruction
        return {"loss": loss, "loss_generator": fooled, "reconstruction": reconstruction}

    def metrics(self, images: Float[Tensor, "b 3 64 64"]) -> dict[str, Tensor]:
        """The losses of both sides, and how well frames come back."""
        z, encoded, made = self._pairs(images)
        real, fake = self._logits(images, encoded, made, z)
        return self._losses(images, encoded, real, fake) | verdicts(real, fake)
