import pytest
import torch

from worldmodels.vision.diversity import diversity, mean_distance, small


def images(count: int, seed: int, kinds: int | None = None, size: int = 16) -> torch.Tensor:
    """Random images, or noisy copies of a few kinds."""
    generator = torch.Generator().manual_seed(seed)
    if kinds is None:
        return torch.rand(count, 3, size, size, generator=generator)
    prototypes = torch.rand(10, 3, size, size, generator=torch.Generator().manual_seed(0))
    return prototypes[torch.arange(count) % kinds] + 0.02 * torch.rand(count, 3, size, size, generator=generator)


def test_images_of_the_same_distribution_are_as_varied_as_real_ones() -> None:
    found = diversity(images(100, 1, kinds=10), images(100, 2, kinds=10))
    assert found["spread"].item() == pytest.approx(1, abs=0.05)
    assert found["coverage"].item() > 0.9
    assert found["recall"].item() > 0.9


def test_a_collapse_to_one_picture_shows() -> None:
    found = diversity(images(100, 1, kinds=10), images(1, 2, kinds=1).expand(100, -1, -1, -1))
    assert found["spread"].item() == pytest.approx(0, abs=1e-3)
    assert found["recall"].item() < 0.02
    assert found["coverage"].item() <= 0.1


def test_modes_that_are_missing_are_not_covered() -> None:
    found = diversity(images(100, 1, kinds=10), images(100, 2, kinds=3))
    assert found["coverage"].item() == pytest.approx(0.3, abs=0.05)
    assert found["recall"].item() == pytest.approx(0.3, abs=0.05)
    assert found["spread"].item() < 0.9


def test_stray_samples_raise_recall_but_not_coverage() -> None:
    wide = torch.cat([images(80, 2, kinds=1), 20 * (images(20, 3) - 0.5)])
    found = diversity(images(100, 1, kinds=10), wide)
    assert found["recall"].item() > 0.9
    assert found["coverage"].item() <= 0.2


def test_pictures_are_compared_whatever_their_size() -> None:
    assert small(images(3, 1, size=64)).shape == small(images(3, 1, size=28)).shape == (3, 3 * 16 * 16)


def test_too_few_images_are_not_measured() -> None:
    assert diversity(images(1, 1), images(1, 2)) == {}


def test_the_mean_distance_is_over_pairs_of_different_images() -> None:
    points = torch.tensor([[0.0], [1.0], [3.0]])
    assert mean_distance(torch.cdist(points, points)).item() == pytest.approx((1 + 3 + 2) / 3)
