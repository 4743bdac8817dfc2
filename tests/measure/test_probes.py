import numpy as np
import pytest

from worldmodels.measure.probes import fit_linear, linear_probe


def latents(count: int, seed: int) -> np.ndarray:
    return (3 + np.random.default_rng(seed).normal(0, [1, 0.01, 5, 100], (count, 4))).astype(np.float32)


def linear(z: np.ndarray) -> np.ndarray:
    return z @ np.array([1.0, -50.0, 0.2, 0.01]) + 7


def test_a_linear_function_is_read_perfectly() -> None:
    z, z_test = latents(500, 0), latents(200, 1)
    assert linear_probe(z, linear(z), z_test, linear(z_test)) == pytest.approx(1, abs=1e-4)


def test_what_is_not_in_the_latents_is_not_read() -> None:
    z, z_test = latents(2000, 0), latents(2000, 1)
    noise = np.random.default_rng(2).normal(size=(2, 2000))
    assert linear_probe(z, noise[0], z_test, noise[1]) == pytest.approx(0, abs=0.02)


def test_half_of_the_variance_is_half() -> None:
    z, z_test = latents(5000, 0), latents(5000, 1)
    noise = np.random.default_rng(2).normal(size=(2, 5000))
    known, tested = z[:, 0] + noise[0], z_test[:, 0] + noise[1]
    assert linear_probe(z, known, z_test, tested) == pytest.approx(0.5, abs=0.03)


def test_rows_without_a_label_are_left_out() -> None:
    z, z_test = latents(500, 0), latents(200, 1)
    known, tested = linear(z), linear(z_test)
    known[::3] = tested[::2] = np.nan
    assert linear_probe(z, known, z_test, tested) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("labels", [np.full(50, np.nan), np.ones(50)])
def test_without_a_label_that_varies_there_is_nothing_to_say(labels: np.ndarray) -> None:
    z = latents(50, 0)
    assert linear_probe(z, labels, z, labels) is None


def test_test_rows_on_which_the_label_hardly_varies_say_nothing() -> None:
    z, z_test = latents(500, 0), latents(200, 1)
    assert linear_probe(z, linear(z), z_test, 1e-9 * linear(z_test)) is None


def test_a_latent_that_is_constant_does_no_harm() -> None:
    z = latents(100, 0)
    z[:, 1] = 4
    weights, bias = fit_linear(z, 2 * z[:, 0] - 1)
    assert weights == pytest.approx([2, 0, 0, 0], abs=0.01)
    assert bias == pytest.approx(-1, abs=0.1)
