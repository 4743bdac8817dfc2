import pytest
import torch
from torch import nn

from worldmodels.config import VisionConfig
from worldmodels.vision import build_vision
from worldmodels.vision.packed import PackedConvolution, in_bfloat16

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    reason="needs a processor on which oneDNN computes in bfloat16",
)


@pytest.mark.parametrize("frames", [1, 3, 16])
def test_a_playing_v_sees_what_it_sees_in_bfloat16(frames: int) -> None:
    torch.manual_seed(1)
    vision = build_vision(VisionConfig()).eval()
    playing = in_bfloat16(vision)
    assert sum(isinstance(module, PackedConvolution) for module in playing.modules()) == 4
    images = torch.randint(0, 256, (frames, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        rounded = vision.encode(images)
        before = {name: weights.clone() for name, weights in vision.state_dict().items()}
        seen, expected = playing.encode(images), vision.to(torch.bfloat16).encode(images)
    assert before.keys() == vision.state_dict().keys()  # its own layers are as they were
    assert torch.allclose(seen.mu, expected.mu, rtol=0.02, atol=1e-3)
    assert torch.allclose(seen.logvar, expected.logvar, rtol=0.02, atol=1e-3)
    assert not torch.equal(seen.mu, rounded.mu)  # which float32 would have given


@pytest.mark.parametrize(
    "how", [{}, {"padding": 1}, {"padding": "valid"}, {"stride": 2, "bias": False}, {"groups": 2, "dilation": 2}]
)
def test_a_packed_convolution_is_torchs_with_relu(how: dict) -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(8, 16, 3, **how).to(torch.bfloat16)
    packed = PackedConvolution(layer)
    for size in (9, 9, 12):  # weights are laid out for the first
        images = torch.randn(2, 8, size, size).to(torch.bfloat16)
        with torch.inference_mode():
            assert torch.allclose(packed(images), layer(images).relu(), rtol=0.02, atol=0.02)


def test_what_is_no_plain_convolution_before_a_relu_stays() -> None:
    vision = build_vision(VisionConfig())
    circular = nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular")
    same = nn.Conv2d(4, 4, 3, padding="same")
    vision.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(), circular, nn.ReLU(), same, nn.ReLU())
    kinds = [nn.Conv2d, nn.LeakyReLU, nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU]
    assert [type(layer) for layer in in_bfloat16(vision).encoder] == kinds
