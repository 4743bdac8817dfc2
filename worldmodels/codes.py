"""Codes: the L values, evenly from -1 to 1, that a dimension of a quantised latent takes."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def code_values(levels: int) -> Float[Tensor, " l"]:
    """The values in order."""
    return torch.linspace(-1, 1, levels)


def nearest_code(z: Float[Tensor, "*b"], levels: int) -> Int[Tensor, "*b"]:
    """Which of the values, 0 to L - 1, is nearest to each number; 0 for NaN, of which losses tell, NaN themselves."""
    return ((z + 1) * (0.5 * (levels - 1))).nan_to_num().round().clamp(0, levels - 1).long()
