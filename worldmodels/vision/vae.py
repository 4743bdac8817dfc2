"""The paper's convolutional VAE (appendix A.1)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from worldmodels.config import VisionConfig
from worldmodels.tensors import load_optimizer, optimizer_tensors
from worldmodels.vision.base import Posterior, VisionModel, register_vision
from worldmodels.vision.layers import Deconvolution, LastConvolution


def kl_to_standard_normal(posterior: Posterior) -> Float[Tensor, "b z"]:
    """KL(N(mu, sigma^2) || N(0, 1)) of each dimension in nats: 1/2 (sigma^2 + mu^2 - log sigma^2 - 1)."""
    mu, logvar = posterior
    return 0.5 * (logvar.exp() + mu.square() - logvar - 1)


@register_vision("vae")
class VAE(VisionModel):
    """Encoder 64x64x3 -> 2x2x256 -> (mu, logvar), decoder z -> 1x1x1024 -> 64x64x3; 4,348,547 parameters at z = 32.

    The loss of a frame is the *sum* over pixels of squared errors plus its KL, which counts only above `kl_floor`
    nats a dimension (averaging over pixels instead makes the KL win and the posterior collapse). Learns with Adam.
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2), nn.ReLU(),     # (B, 32, 31, 31)
            nn.Conv2d(32, 64, 4, 2), nn.ReLU(),    # (B, 64, 14, 14)
            nn.Conv2d(64, 128, 4, 2), nn.ReLU(),   # (B, 128, 6, 6)
            LastConvolution(128, 256, 4, 2), nn.ReLU(),  # (B, 256, 2, 2)
            nn.Flatten(),                          # (B, 1024)
        )  # fmt: skip
        self.mu = nn.Linear(1024, config.latent_dim)
        self.logvar = nn.Linear(1024, config.latent_dim)
        self.expand = nn.Linear(config.latent_dim, 1024)  # no activation follows
        self.decoder = nn.Sequential(
            Deconvolution(1024, 128, 5, 2), nn.ReLU(),  # (B, 128, 5, 5)
            Deconvolution(128, 64, 5, 2), nn.ReLU(),    # (B, 64, 13, 13)
            Deconvolution(64, 32, 6, 2), nn.ReLU(),     # (B, 32, 30, 30)
            Deconvolution(32, 3, 6, 2), nn.Sigmoid(),   # (B, 3, 64, 64)
        )  # fmt: skip
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(self.parameters(), lr=config.learning_rate, fused=True)

    def encode(self, frames: UInt8[Tensor, "b 64 64 3"]) -> Posterior:
        """Posterior (mu, log sigma^2) of frames."""
        return self._encode(_to_unit(frames, self.mu.weight.dtype))

    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 64 64 3"]:
        """Mean frames in 0..1 of latents."""
        return self._decode(z).permute(0, 2, 3, 1)

    def _encode(self, images: Float[Tensor, "b 3 64 64"]) -> Posterior:
        features = self.encoder(images)
        return Posterior(self.mu(features).float(), self.logvar(features).float())

    def _decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 3 64 64"]:
        return self.decoder(self.expand(z.to(self.expand.weight.dtype))[:, :, None, None]).float()

    def loss(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """Metrics averaged over frames; `loss` is what is minimised, in nats up to a constant."""
        images = _to_unit(frames, torch.float32)
        posterior = self._encode(images)
        generator = torch.Generator(images.device).manual_seed(seed)
        noise = torch.randn(posterior.mu.shape, generator=generator, device=images.device)
        squared = F.mse_loss(self._decode(posterior.sample(noise)), images, reduction="none")
        reconstruction = squared.flatten(1).sum(1)  # (B,)
        kl = kl_to_standard_normal(posterior)  # (B, Z)
        floored = kl.sum(1).clamp(min=self.config.kl_floor * self.latent_dim)
        return {
            "loss": (reconstruction + self.config.beta * floored).mean(),
            "reconstruction": reconstruction.mean(),
            "kl": kl.sum(1).mean(),
            "dead_dimensions": (kl.mean(0) < DEAD_NATS).sum(),
        }

    def training_step(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """One step of Adam on a batch."""
        metrics = self.loss(frames, seed)
        self.optimizer.zero_grad()
        metrics["loss"].backward()
        self.optimizer.step()
        return {name: value.detach() for name, value in metrics.items()}

    @torch.no_grad()
    def validate(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """The same metrics without learning."""
        return self.loss(frames, seed)

    def training_state(self) -> dict[str, Tensor]:
        """Adam's moments."""
        return optimizer_tensors(self.optimizer)

    def load_training_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back Adam's moments."""
        load_optimizer(self.optimizer, tensors)


DEAD_NATS = 0.01
"""A dimension whose average KL is below this carries nothing: M and C could do without it."""


def _to_unit(frames: UInt8[Tensor, "b 64 64 3"], dtype: torch.dtype) -> Float[Tensor, "b 3 64 64"]:
    """Frames as images in 0..1; permuting the axes leaves the memory as it is, which torch calls channels-last."""
    return frames.permute(0, 3, 1, 2).to(dtype) / 255
