import torch
from torch.nn import functional as F

from worldmodels.vision.checkerboard import checkerboard


def smooth(count: int = 20) -> torch.Tensor:
    """Images whose power falls with frequency, as that of real ones does."""
    noise = torch.randn(count, 3, 80, 80, generator=torch.Generator().manual_seed(1))
    return F.avg_pool2d(F.avg_pool2d(noise, 5, 1), 5, 1)[..., 4:68, 4:68]


def test_smooth_images_have_none() -> None:
    assert checkerboard(smooth()) < 1.5


def test_a_faint_pattern_of_every_other_pixel_stands_out() -> None:
    rows, columns = torch.arange(64)[:, None] % 2, torch.arange(64) % 2
    for pattern in (rows ^ columns, rows.expand(64, 64), columns.expand(64, 64)):
        images = smooth()
        assert checkerboard(images + 0.1 * images.std() * pattern) > 3 * checkerboard(images)


def test_neither_scale_nor_brightness_counts() -> None:
    images = smooth()
    assert torch.allclose(checkerboard(5 * images + 2), checkerboard(images), rtol=1e-3)


def test_strided_transposed_convolutions_leave_one_and_upsampling_does_not() -> None:
    torch.manual_seed(0)
    features = F.avg_pool2d(torch.rand(20, 8, 36, 36), 5, 1)
    transposed = torch.nn.ConvTranspose2d(8, 3, 5, 2, padding=2, output_padding=1)
    upsampled = torch.nn.Sequential(torch.nn.Upsample(scale_factor=2), torch.nn.Conv2d(8, 3, 3, padding=1))
    with torch.no_grad():
        assert checkerboard(transposed(features)) > 5 * checkerboard(upsampled(features))
