"""Convolutions of a V that no longer learns: weights are laid out for the processor once, and ReLU costs no pass."""

import copy
from itertools import pairwise
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from worldmodels.vision.base import VisionModel
from worldmodels.vision.layers import LastConvolution

PLAIN = nn.Conv2d, LastConvolution
"""Of these, and no other subclass, it is known what they compute."""


def in_bfloat16(vision: VisionModel) -> VisionModel:
    """A copy of V in bfloat16 that plays on the CPU, and can be neither trained nor saved.

    Its numbers are those of `vision.to(torch.bfloat16)`. An encoder like the paper's takes 0.9 of the time on 16
    frames and 0.55 on a single one, of which torch's own convolutions spend the rest on laying out the same weights
    again.
    """
    playing = copy.deepcopy(vision).to(torch.bfloat16)
    if torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        for module in list(playing.modules()):
            if isinstance(module, nn.Sequential):
                _pack(module)
    return playing


def _pack(layers: nn.Sequential) -> None:
    """Put a `PackedConvolution` in the place of every convolution that a ReLU follows."""
    for number, (layer, following) in enumerate(pairwise(list(layers))):
        if type(layer) not in PLAIN or type(following) is not nn.ReLU:
            continue
        convolution = cast(nn.Conv2d, layer)
        if convolution.padding_mode == "zeros" and convolution.padding != "same":
            layers[number], layers[number + 1] = PackedConvolution(convolution), nn.Identity()


class PackedConvolution(nn.Module):
    """A convolution in bfloat16 and the ReLU behind it, by oneDNN's own call, since torch has no public one.

    Weights are laid out for images of the first size that comes; others cost more time.

    Args:
        layer: the convolution, in bfloat16.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        padding = [0, 0] if layer.padding == "valid" else list(layer.padding)
        self._how = padding, list(layer.stride), list(layer.dilation), layer.groups
        self._weight = layer.weight.detach()
        self._bias = None if layer.bias is None else layer.bias.detach()

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        """What the convolution and `nn.ReLU` give for x."""
        if not self._weight.is_mkldnn:
            lay_out: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            self._weight = lay_out(self._weight.to_mkldnn(), *self._how, list(x.shape))
        pointwise = torch.ops.mkldnn._convolution_pointwise
        return pointwise(x, self._weight, self._bias, *self._how, "relu", [], "")
