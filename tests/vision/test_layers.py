import pytest
import torch
from torch import nn

from worldmodels.vision.layers import Deconvolution, LastConvolution


@pytest.mark.parametrize(
    ("theirs", "ours", "size"),
    [(nn.ConvTranspose2d, Deconvolution, 1), (nn.ConvTranspose2d, Deconvolution, 5), (nn.Conv2d, LastConvolution, 7)],
)
def test_a_layer_is_torchs_with_the_same_weights(theirs: type, ours: type, size: int) -> None:
    torch.manual_seed(1)
    theirs, ours = theirs(6, 4, 5, 2).double(), ours(6, 4, 5, 2).double()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(3, 6, size, size, dtype=torch.float64, requires_grad=True)
    results = []
    for layer in (theirs, ours):
        drawn = layer(images)
        gradients = torch.autograd.grad(drawn.square().sum(), [images, layer.weight, layer.bias])
        results.append([drawn, *gradients])
    for expected, actual in zip(*results, strict=True):
        assert torch.allclose(actual, expected)
