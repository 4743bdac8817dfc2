"""Generator and discriminator from lists of layers, as the lecture gives them, with the habits of Keras."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from worldmodels.errors import UserError

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}
EPSILON = 1e-3
"""Keras adds this to the variance that it normalises by."""


class SameConv2d(nn.Conv2d):
    """A convolution whose output has ceil(size / stride) rows and columns: the padding "same" of TensorFlow.

    Where an odd number of pixels is missing, the one more goes to the right and to the bottom.
    """

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """The convolution of the padded images."""
        edges: list[int] = []
        for size, kernel, stride in zip(images.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            edges += [missing // 2, missing - missing // 2]
        return super().forward(F.pad(images, edges))


def activation(name: str) -> nn.Module:
    """An activation by its name in Keras; UserError if it is not known."""
    if name not in ACTIVATIONS:
        raise UserError(f"There is no activation {name}: the known ones are {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()


def normalisation(kind: type[nn.Module], features: int, momentum: float | None) -> list[nn.Module]:
    """Batch normalisation whose running statistics keep the share `momentum` at each step; nothing for None."""
    return [] if momentum is None else [kind(features, eps=EPSILON, momentum=1 - momentum)]  # torch's is what is new


def dropout(rate: float | None) -> list[nn.Module]:
    """Dropout at a rate; nothing for None."""
    return [] if rate is None else [nn.Dropout(rate)]


def same_lengths(**lists: Sequence[int]) -> None:
    """Raise UserError unless all lists have an entry a layer."""
    first, length = next((name, len(entries)) for name, entries in lists.items())
    for name, entries in lists.items():
        if len(entries) != length:
            raise UserError(f"{first} has {length} entries and {name} {len(entries)}: each layer needs one of both.")


def discriminator(
    shape: tuple[int, int, int],
    filters: Sequence[int],
    kernels: Sequence[int],
    strides: Sequence[int],
    momentum: float | None,
    activate: str,
    dropout_rate: float | None,
) -> nn.Sequential:
    """Images (B, C, H, W) in -1..1 to the log-odds (B, 1) that they are real: the sigmoid is left to the loss."""
    layers: list[nn.Module] = []
    height, width, channels = shape
    for index, (count, kernel, stride) in enumerate(zip(filters, kernels, strides, strict=True)):
        layers.append(SameConv2d(channels, count, kernel, stride))
        if index > 0:
            layers += normalisation(nn.BatchNorm2d, count, momentum)
        layers += [activation(activate), *dropout(dropout_rate)]
        channels, height, width = count, -(-height // stride), -(-width // stride)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, 1))


def generator(
    z_dim: int,
    first: tuple[int, int, int],
    upsample: Sequence[int],
    filters: Sequence[int],
    kernels: Sequence[int],
    strides: Sequence[int],
    momentum: float | None,
    activate: str,
    dropout_rate: float | None,
) -> nn.Sequential:
    """Latents (B, z) to images (B, C, H, W) in -1..1.

    A layer repeats each pixel as often as its upsampling says, then convolves or, where its stride is not 1, enlarges
    by a transposed convolution.
    """
    height, width, channels = first
    size = height * width * channels
    layers: list[nn.Module] = [nn.Linear(z_dim, size), *normalisation(nn.BatchNorm1d, size, momentum)]
    layers += [activation(activate), nn.Unflatten(1, (channels, height, width)), *dropout(dropout_rate)]
    for index, (scale, count, kernel, stride) in enumerate(zip(upsample, filters, kernels, strides, strict=True)):
        layers += [nn.Upsample(scale_factor=scale)] if scale > 1 else []
        if stride > 1:
            excess = kernel - stride
            if excess < 0:
                raise UserError(f"A transposed convolution of stride {stride} leaves holes with a kernel of {kernel}.")
            layers.append(
                nn.ConvTranspose2d(channels, count, kernel, stride, (excess + 1) // 2, output_padding=excess % 2)
            )
        else:
            layers.append(SameConv2d(channels, count, kernel))
        channels = count
        if index < len(filters) - 1:
            layers += [*normalisation(nn.BatchNorm2d, count, momentum), activation(activate)]
    return nn.Sequential(*layers, nn.Tanh())
