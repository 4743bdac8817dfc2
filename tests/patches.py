"""Frames that are easy to learn: random patches of colour."""

import numpy as np
import torch
from torch import Tensor


def pictures(count: int, seed: int = 0) -> Tensor:
    """Frames uint8 (N, 64, 64, 3) of 4x4 patches."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return torch.from_numpy(coarse.repeat(16, 1).repeat(16, 2))
