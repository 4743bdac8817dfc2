import pytest
import torch
from torch import nn

from worldmodels.vision.layers import Deconvolution, Dropout, LastConvolution


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


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_dropout_hides_its_share_and_keeps_the_mean(layout: torch.memory_format) -> None:
    torch.manual_seed(1)
    x = torch.ones(8, 50, 31, 31).to(memory_format=layout).requires_grad_()
    shown = Dropout(0.375)(x)
    assert sorted(shown.unique().tolist()) == pytest.approx([0.0, 1.6])
    assert (shown == 0).float().mean().item() == pytest.approx(0.375, abs=0.005)
    for axis in range(4):  # no place is favoured
        rest = [other for other in range(4) if other != axis]
        assert (shown == 0).float().mean(rest).sub(0.375).abs().max() < 0.05
    shown.sum().backward()
    assert torch.equal(x.grad, shown.detach())


def test_dropout_draws_anew_from_torchs_generator_while_it_learns_only() -> None:
    layer, x = Dropout(0.5), torch.ones(3, 1000)
    torch.manual_seed(1)
    one, other = layer(x), layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), one)
    assert not torch.equal(one, other)
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x
