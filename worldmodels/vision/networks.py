"""The convolutions that the models of this package share, so that they differ only in how they learn."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from worldmodels.config import VisionConfig
from worldmodels.errors import UserError
from worldmodels.vision.layers import Deconvolution, LastConvolution

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


def draw(expand: nn.Linear, decoder: nn.Sequential, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 3 64 64"]:
    """Images in 0..1 of latents."""
    size = 1 if isinstance(decoder[0], nn.ConvTranspose2d) else 4
    return decoder(expand(z.to(expand.weight.dtype)).unflatten(1, (-1, size, size))).float()


def squared_error(decoded: Float[Tensor, "b 3 64 64"], images: Float[Tensor, "b 3 64 64"]) -> Float[Tensor, " b"]:
    """Sum over the pixels of each image: an average would let every other term of a loss win."""
    return F.mse_loss(decoded, images, reduction="none").flatten(1).sum(1)
