"""A VAE whose decoder also has to pass as real: the sum of a squared error, a KL and a discriminator's judgement."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.autograd import grad

from worldmodels.config import Fraction, NonNegative
from worldmodels.registry import register_vision
from worldmodels.vision.adversarial import (
    AdversarialConfig,
    AdversarialModel,
    cross_entropy,
    frozen,
    learn,
    verdicts,
)
from worldmodels.vision.base import Posterior
from worldmodels.vision.networks import patch_discriminator, signed
from worldmodels.vision.vae import VAE, VAEConfig

MAX_WEIGHT = 1e4
"""The adaptive weight is cut off here, where the adversarial gradient has all but vanished."""


@dataclass(frozen=True)
class VAEGANConfig(AdversarialConfig, VAEConfig):
    """Options of the VAE-GAN."""

    adversarial_weight: NonNegative = 0.5
    """Size of the adversarial gradient at the decoder's last layer, as a share of that of the squared error."""
    warm_up: Fraction = 0.25
    """Share of the steps before the discriminator is switched on."""


@register_vision("vae_gan")
class VAEGAN(AdversarialModel):
    """The VAE, and a discriminator of patches that compares frames with their reconstructions (after VQGAN).

    The adversarial term's weight is set at every step such that its gradient with respect to the decoder's last layer
    is `adversarial_weight` times as long as that of the squared error (Esser et al. 2021, eq. 7). Both learn with Adam.
    """

    Config = VAEGANConfig
    config: VAEGANConfig

    def __init__(self, config: VAEGANConfig) -> None:
        super().__init__(config)
        self.vae = VAE(config)
        self.discriminator = patch_discriminator().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rate = config.learning_rate * config.discriminator_rate
        self.optimizers = {
            "vae": self.vae.optimizer,
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), lr=rate, betas=(0.5, 0.999), fused=True),
        }

    def encode(self, frames: UInt8[Tensor, "b 64 64 3"]) -> Posterior:
        """Posterior (mu, log sigma^2) of frames."""
        return self.vae.encode(frames)

    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 64 64 3"]:
        """Frames in 0..1 of latents."""
        return self.vae.decode(z)

    def play(self, images: Float[Tensor, "b 3 64 64"]) -> dict[str, Tensor]:
        """A step of the VAE through the frozen discriminator, then one of the discriminator."""
        noise = torch.randn(len(images), self.latent_dim, device=images.device)
        metrics, decoded = self.vae.elbo(images, noise)
        if self.taken < self.config.warm_up * self.config.steps:
            learn(self.optimizers["vae"], metrics["loss"])
            return metrics
        with frozen(self.discriminator):
            fooled = cross_entropy(self._logits(decoded), 1)
        (pull,) = grad(fooled, decoded)
        weight = self._weight(metrics["reconstruction"], pull, decoded)
        # the inner product has the gradient of weight * fooled, without going through the discriminator again
        learn(self.optimizers["vae"], metrics["loss"] + weight * (pull * decoded).sum())
        judged = self._judge(images, decoded.detach())
        learn(self.optimizers["discriminator"], judged["loss_discriminator"])
        return metrics | judged | {"loss_generator": fooled, "adversarial_weight": weight}

    def _weight(self, reconstruction: Tensor, pull: Tensor, decoded: Tensor) -> Float[Tensor, ""]:
        last: Tensor = self.vae.decoder[-2].weight  # type: ignore[assignment]
        (towards,) = grad(reconstruction, decoded, retain_graph=True)
        lengths = [grad(decoded, last, to, retain_graph=True)[0].norm() for to in (towards, pull)]
        return (self.config.adversarial_weight * lengths[0] / lengths[1].clamp(min=1e-12)).clamp(max=MAX_WEIGHT)

    def _logits(self, images: Float[Tensor, "b 3 64 64"]) -> Float[Tensor, "b 1 h w"]:
        return self.discriminator(signed(images)).float()

    def _judge(self, images: Tensor, decoded: Tensor) -> dict[str, Tensor]:
        real, fake = self._logits(torch.cat([images, decoded])).chunk(2)
        return verdicts(real, fake)

    def metrics(self, images: Float[Tensor, "b 3 64 64"]) -> dict[str, Tensor]:
        """The VAE's metrics and the discriminator's."""
        noise = torch.randn(len(images), self.latent_dim, device=images.device)
        metrics, decoded = self.vae.elbo(images, noise)
        return metrics | self._judge(images, decoded)
