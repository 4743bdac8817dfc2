"""Checkerboard artefacts: patterns of every other pixel, which transposed convolutions leave (Odena et al. 2016)."""

import torch
from jaxtyping import Float
from torch import Tensor

NEIGHBOURS = 3
"""Frequencies below the highest one that it is compared with."""


def checkerboard(images: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """How much stronger the pattern of every other row or column is than those a little coarser.

    The power of images falls smoothly with frequency, so it is below 1 for real ones and whatever is as smooth; a
    pattern of period 2 stands out above its neighbours, however faint. Height and width are even.
    """
    power = torch.fft.fft2(images.float(), norm="ortho").abs().square().mean((0, 1))  # (H, W)
    height, width = power.shape
    lines = {"rows": (power, height // 2), "columns": (power.T, width // 2)}
    finest = torch.stack([part[middle].mean() for part, middle in lines.values()])
    coarser = torch.stack([part[middle - NEIGHBOURS : middle].mean() for part, middle in lines.values()])
    return (finest / coarser.clamp(min=1e-20)).mean()
