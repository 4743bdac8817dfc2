"""The convolutions that the models of this package share, so that they differ only in how they learn."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from worldmodels.config import VisionConfig
from worldmodels.errors import UserError
from worldmodels.vision.layers import Deconvolution, Dropout, LastConvolution

FEATURES = 1024
"""Numbers that the encoder makes of a frame: 256 channels of 2x2."""
FRAME = (64, 64, 3)


@dataclass(frozen=True)
class ConvConfig(VisionConfig):
    """Options of every model that decodes with `decoder_layers`."""

    decoder: Literal["transposed", "upsample"] = "transposed"
    """The paper's transposed convolutions, or nearest-neighbour upsampling before convolutions, which cannot leave
    checkerboards."""


def as_images(frames: Tensor, dtype: torch.dtype) -> Float[Tensor, "b 3 64 64"]:
    """Frames uint8 (B, 64, 64, 3) as images in 0..1; UserError if they are of another size or type.

    Permuting the axes leaves the memory as it is, which torch calls channels-last.
    """
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[1:] != FRAME:
        got = f"{str(frames.dtype).removeprefix('torch.')} {tuple(frames.shape)}"
        raise UserError(f"V sees frames of type uint8 and shape (B, 64, 64, 3); these are {got}.")
    return frames.permute(0, 3, 1, 2).to(dtype) / 255


def encoder_layers() -> nn.Sequential:
    """The paper's encoder: images (B, 3, 64, 64) to features (B, 1024)."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 2), nn.ReLU(),     # (B, 32, 31, 31)
        nn.Conv2d(32, 64, 4, 2), nn.ReLU(),    # (B, 64, 14, 14)
        nn.Conv2d(64, 128, 4, 2), nn.ReLU(),   # (B, 128, 6, 6)
        LastConvolution(128, 256, 4, 2), nn.ReLU(),  # (B, 256, 2, 2)
        nn.Flatten(),                          # (B, 1024)
    )  # fmt: skip


def decoder_layers(kind: str, latent_dim: int) -> tuple[nn.Linear, nn.Sequential]:
    """What `draw` needs to turn latents into images: a dense layer without activation, then convolutions."""
    if kind == "transposed":
        return nn.Linear(latent_dim, 1024), nn.Sequential(
            Deconvolution(1024, 128, 5, 2), nn.ReLU(),  # (B, 128, 5, 5)
            Deconvolution(128, 64, 5, 2), nn.ReLU(),    # (B, 64, 13, 13)
            Deconvolution(64, 32, 6, 2), nn.ReLU(),     # (B, 32, 30, 30)
            Deconvolution(32, 3, 6, 2), nn.Sigmoid(),   # (B, 3, 64, 64)
        )  # fmt: skip
    return nn.Linear(latent_dim, 256 * 4 * 4), nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(256, 128, 3, padding=1), nn.ReLU(),  # (B, 128, 8, 8)
        nn.Upsample(scale_factor=2), nn.Conv2d(128, 64, 3, padding=1), nn.ReLU(),   # (B, 64, 16, 16)
        nn.Upsample(scale_factor=2), nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(),    # (B, 32, 32, 32)
        nn.Upsample(scale_factor=2), nn.Conv2d(32, 3, 3, padding=1), nn.Sigmoid(),  # (B, 3, 64, 64)
    )  # fmt: skip


def draw(expand: nn.Module, decoder: nn.Sequential, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 3 64 64"]:
    """Images in 0..1 of latents."""
    size = 1 if isinstance(decoder[0], nn.ConvTranspose2d) else 4
    dtype = next(expand.parameters()).dtype
    return decoder(expand(z.to(dtype)).unflatten(1, (-1, size, size))).float()


class Generator(nn.Module):
    """The decoder with batch normalisation (over the flat features of the dense layer, too), as the lecture's GAN has.

    Args:
        kind: "transposed" or "upsample".
        latent_dim: size of z.
    """

    def __init__(self, kind: str, latent_dim: int) -> None:
        super().__init__()
        dense, layers = decoder_layers(kind, latent_dim)
        self.expand = nn.Sequential(dense, nn.BatchNorm1d(dense.out_features), nn.ReLU())
        self.decoder = nn.Sequential()
        for layer in layers:
            if isinstance(layer, nn.ReLU):
                self.decoder.append(nn.BatchNorm2d(self.decoder[-1].out_channels))  # type: ignore[arg-type]
            self.decoder.append(layer)

    def forward(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 3 64 64"]:
        """Images in 0..1 of latents."""
        return draw(self.expand, self.decoder, z)


def discriminator_layers(dropout: float) -> nn.Sequential:
    """A discriminator's view of images (B, 3, 64, 64): features (B, 1024)."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 2), nn.LeakyReLU(0.2), Dropout(dropout),     # (B, 32, 31, 31)
        nn.Conv2d(32, 64, 4, 2), nn.LeakyReLU(0.2), Dropout(dropout),    # (B, 64, 14, 14)
        nn.Conv2d(64, 128, 4, 2), nn.LeakyReLU(0.2), Dropout(dropout),   # (B, 128, 6, 6)
        LastConvolution(128, 256, 4, 2), nn.LeakyReLU(0.2), Dropout(dropout),  # (B, 256, 2, 2)
        nn.Flatten(),                                                       # (B, 1024)
    )  # fmt: skip


def patch_discriminator() -> nn.Sequential:
    """A discriminator's log-odds for each of 6x6 overlapping patches of 22 pixels."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 4, 2), nn.LeakyReLU(0.2),    # (B, 32, 31, 31)
        nn.Conv2d(32, 64, 4, 2), nn.LeakyReLU(0.2),   # (B, 64, 14, 14)
        nn.Conv2d(64, 128, 4, 2), nn.LeakyReLU(0.2),  # (B, 128, 6, 6)
        nn.Conv2d(128, 1, 1),                         # (B, 1, 6, 6)
    )  # fmt: skip


def signed(images: Float[Tensor, "b 3 64 64"]) -> Float[Tensor, "b 3 64 64"]:
    """Images of 0..1 in -1..1, as discriminators see them."""
    return 2 * images - 1


def squared_error(decoded: Float[Tensor, "b 3 64 64"], images: Float[Tensor, "b 3 64 64"]) -> Float[Tensor, " b"]:
    """Sum over the pixels of each image: an average would let every other term of a loss win."""
    return F.mse_loss(decoded, images, reduction="none").flatten(1).sum(1)


def fourth_powers(decoded: Float[Tensor, "b 3 64 64"], images: Float[Tensor, "b 3 64 64"]) -> Float[Tensor, " b"]:
    """Sum of the fourth powers of the errors of each image, to which a few large ones add most."""
    return (decoded - images).square().square().flatten(1).sum(1)
