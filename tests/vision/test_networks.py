import pytest
import torch

from worldmodels.errors import UserError
from worldmodels.vision.networks import as_images, decoder_layers, draw


@pytest.mark.parametrize("kind", ["transposed", "upsample"])
def test_both_decoders_draw_frames(kind: str) -> None:
    expand, decoder = decoder_layers(kind, 7)
    images = draw(expand, decoder, torch.randn(2, 7))
    assert images.shape == (2, 3, 64, 64)
    assert images.min() >= 0
    assert images.max() <= 1


def test_images_are_in_zero_to_one_with_colours_first() -> None:
    frames = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    frames[0, 3, 5, 2] = 255
    images = as_images(frames, torch.float32)
    assert images[0, 2, 3, 5] == 1
    assert images.sum() == 1


@pytest.mark.parametrize(
    ("frames", "what"),
    [
        (torch.zeros(2, 32, 32, 3, dtype=torch.uint8), r"uint8 \(2, 32, 32, 3\)"),
        (torch.zeros(2, 3, 64, 64, dtype=torch.uint8), r"uint8 \(2, 3, 64, 64\)"),
        (torch.zeros(64, 64, 3, dtype=torch.uint8), r"uint8 \(64, 64, 3\)"),
        (torch.zeros(2, 64, 64, 3), r"float32 \(2, 64, 64, 3\)"),
    ],
)
def test_frames_of_another_size_or_type_are_refused(frames: torch.Tensor, what: str) -> None:
    with pytest.raises(UserError, match=rf"uint8 and shape \(B, 64, 64, 3\); these are {what}"):
        as_images(frames, torch.float32)
