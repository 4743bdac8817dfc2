import numpy as np
import pytest

from worldmodels.envs.state import Label
from worldmodels.measure.attributes import find_attribute
from worldmodels.measure.fitted import fitted_samples

LABEL = Label("depth", "how deep it is", "shallow", "deep")


def latents(label: np.ndarray, direction: np.ndarray, seed: int = 0) -> np.ndarray:
    """Noise, moved along a direction by a label."""
    noise = np.random.default_rng(seed).normal(0, 0.1, (len(label), len(direction)))
    return (noise + label[:, None] * direction).astype(np.float32)


def test_a_switch_gives_the_difference_of_its_two_means() -> None:
    direction = np.array([1.0, -2.0, 0.0])
    switch = (np.arange(1000) % 3 == 0).astype(np.float32)
    attribute = find_attribute(LABEL, latents(switch, direction), switch)
    assert attribute is not None
    assert (attribute.low, attribute.high) == (0, 1)
    assert attribute.vector == pytest.approx(direction, abs=0.03)
    assert attribute.read(direction[None] * 0.5) == pytest.approx([0.5], abs=0.05)


def test_a_rare_switch_is_found_too() -> None:
    direction = np.array([0.0, 3.0])
    switch = (np.arange(1000) % 30 == 0).astype(np.float32)
    attribute = find_attribute(LABEL, latents(switch, direction), switch)
    assert attribute is not None
    assert attribute.vector == pytest.approx(direction, abs=0.1)


def test_a_number_gives_the_difference_of_its_outer_quarters() -> None:
    direction = np.array([1.0, 0.0])
    number = np.linspace(-10, 10, 2001)
    attribute = find_attribute(LABEL, latents(number, direction), number)
    assert attribute is not None
    assert (attribute.low, attribute.high) == pytest.approx((-5, 5))
    assert attribute.vector == pytest.approx([15, 0], abs=0.1)  # from -7.5 to 7.5


def test_moving_along_the_vector_moves_what_the_probe_reads_by_the_gap_of_the_ends() -> None:
    direction = np.array([0.3, -1.0, 2.0])
    number = np.random.default_rng(1).normal(0, 2, 3000)
    z = latents(number, direction)
    attribute = find_attribute(LABEL, z, number)
    assert attribute is not None
    gap = number[number >= attribute.high].mean() - number[number <= attribute.low].mean()
    moved = attribute.read(z[:50] + attribute.vector) - attribute.read(z[:50])
    assert moved == pytest.approx(np.full(50, gap), rel=0.02)


def test_rows_without_a_label_do_not_count() -> None:
    direction = np.array([1.0, -2.0, 0.0])
    switch = (np.arange(1000) % 2).astype(np.float32)
    z = latents(switch, direction)
    switch[::5], z[::5] = np.nan, 99
    attribute = find_attribute(LABEL, z, switch)
    assert attribute is not None
    assert attribute.vector == pytest.approx(direction, abs=0.03)


@pytest.mark.parametrize("values", [np.zeros(500), np.full(500, np.nan), np.r_[np.zeros(499), 1.0], np.arange(8.0)])
def test_what_hardly_varies_makes_no_attribute(values: np.ndarray) -> None:
    assert find_attribute(LABEL, np.zeros((len(values), 2), np.float32), values) is None


def test_fitted_samples_have_the_mean_and_covariance_of_the_posteriors() -> None:
    random = np.random.default_rng(0)
    mu = (random.normal(size=(5000, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]]) + [3, -1]).astype(np.float32)
    logvar = np.full_like(mu, np.log(0.25))
    drawn = fitted_samples(mu, logvar, 50_000, random)
    assert drawn.dtype == np.float32
    assert drawn.mean(0) == pytest.approx([3, -1], abs=0.05)
    assert np.cov(drawn, rowvar=False).ravel() == pytest.approx([4.25, 2, 2, 1.5], abs=0.15)
