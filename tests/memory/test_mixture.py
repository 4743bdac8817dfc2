import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special, stats

from worldmodels.memory.mixture import (
    LOG_SIGMA_RANGE,
    Mixture,
    at_temperature,
    choice_entropy,
    deviation,
    expectation,
    mixture_from,
    negative_log_likelihood,
    sample,
)

LOGITS = [0.3, -1.0, 1.2]
MEANS = [-2.0, 0.5, 3.0]
LOG_SIGMAS = [-0.7, 0.2, -1.5]
DRAWS = 20_000


def mixture_of(logits: list[float], means: list[float], log_sigmas: list[float]) -> Mixture:
    """A mixture for one dimension, in float64."""
    return Mixture(*(torch.tensor([values], dtype=torch.float64) for values in (logits, means, log_sigmas)))


def tempered(tau: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and standard deviations of the example at a temperature."""
    return special.softmax(np.array(LOGITS) / tau), np.array(MEANS), np.exp(LOG_SIGMAS) * math.sqrt(tau)


def drawn(tau: float, seed: int = 1) -> np.ndarray:
    """Many samples of the example at a temperature."""
    random = np.random.default_rng(seed)
    mixture = Mixture(*(torch.tensor(v).expand(DRAWS, 1, 3) for v in (LOGITS, MEANS, LOG_SIGMAS)))
    uniform = torch.from_numpy(random.random((DRAWS, 1), np.float32))
    normal = torch.from_numpy(random.standard_normal((DRAWS, 1), np.float32))
    return sample(mixture, tau, uniform, normal)[:, 0].numpy()


def numbers(low: float, high: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(low, high), min_size=3, max_size=3)


@given(numbers(-20, 20), numbers(-50, 50), numbers(*LOG_SIGMA_RANGE), st.floats(-100, 100))
def test_nll_is_that_of_scipy(logits: list[float], means: list[float], log_sigmas: list[float], z: float) -> None:
    ours = negative_log_likelihood(mixture_of(logits, means, log_sigmas), torch.tensor([z], dtype=torch.float64))
    theirs = -special.logsumexp(special.log_softmax(logits) + stats.norm.logpdf(z, means, np.exp(log_sigmas)))
    assert ours.item() == pytest.approx(theirs, rel=1e-9, abs=1e-9)


def test_nll_keeps_dimensions_apart() -> None:
    mixture = Mixture(*(torch.randn(2, 3, 4, 5, dtype=torch.float64) for _ in range(3)))
    z = torch.randn(2, 3, 4, dtype=torch.float64)
    whole = negative_log_likelihood(mixture, z)
    for dimension in range(4):
        alone = Mixture(*(part[..., [dimension], :] for part in mixture))
        assert torch.allclose(whole[..., [dimension]], negative_log_likelihood(alone, z[..., [dimension]]))


def test_density_integrates_to_one() -> None:
    mixture = mixture_of(LOGITS, MEANS, LOG_SIGMAS)

    def density(z: float) -> float:
        return math.exp(-negative_log_likelihood(mixture, torch.tensor([z], dtype=torch.float64)).item())

    assert integrate.quad(density, -30, 30, points=MEANS)[0] == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("tau", [0.1, 0.5, 1.0, 1.3])
def test_samples_follow_the_tempered_mixture(tau: float) -> None:
    weights, means, sigmas = tempered(tau)

    def cdf(z: np.ndarray) -> np.ndarray:
        return (weights * stats.norm.cdf(z[:, None], means, sigmas)).sum(1)

    assert stats.kstest(drawn(tau), cdf).pvalue > 0.01


@pytest.mark.parametrize("tau", [0.25, 1.0, 2.0])
def test_moments_of_samples_are_those_of_the_tempered_mixture(tau: float) -> None:
    weights, means, sigmas = tempered(tau)
    mean = weights @ means
    variance = weights @ (sigmas**2 + means**2) - mean**2
    samples = drawn(tau)
    assert samples.mean() == pytest.approx(mean, abs=4 * math.sqrt(variance / DRAWS))
    assert samples.var() == pytest.approx(variance, rel=0.05)


def test_samples_at_temperature_zero_are_the_mean_of_the_most_probable_component() -> None:
    assert (drawn(0.0, seed=1) == np.float32(MEANS[2])).all()
    assert drawn(1e-3)[:100] == pytest.approx(np.full(100, MEANS[2]), abs=0.05)


def test_a_uniform_number_inverts_the_cumulative_weights() -> None:
    mixture = Mixture(
        torch.tensor([0.2, 0.3, 0.5]).log().expand(4, 1, 3), torch.arange(3.0).expand(4, 1, 3), torch.zeros(4, 1, 3)
    )
    uniform = torch.tensor([[0.0], [0.19], [0.21], [0.51]])
    assert sample(mixture, 1.0, uniform, torch.zeros(4, 1))[:, 0].tolist() == [0, 0, 1, 2]


def test_the_largest_uniform_number_picks_a_component_even_where_weights_sum_to_less_than_one() -> None:
    logits = torch.randn(1000, 1, 5, generator=torch.Generator().manual_seed(0))
    mixture = Mixture(logits, torch.arange(5.0).expand_as(logits), torch.zeros_like(logits))
    largest = torch.full((1000, 1), 1 - 2**-24)
    assert (sample(mixture, 1.0, largest, torch.zeros(1000, 1)) == 4).all()


def test_outputs_are_all_logits_then_all_means_then_all_deviations() -> None:
    mixture = mixture_from(torch.arange(12.0) / 2, latent_dim=2)
    assert mixture.logits.tolist() == [[0, 0.5], [1, 1.5]]
    assert mixture.mean.tolist() == [[2, 2.5], [3, 3.5]]
    assert mixture.log_sigma.tolist() == [[4, 4.5], [5, 5.5]]


def test_log_sigma_is_clamped() -> None:
    low, high = LOG_SIGMA_RANGE
    assert mixture_from(torch.tensor([0, 0, 0, 0, -1e9, 1e9]), 2).log_sigma.flatten().tolist() == [low, high]


def test_the_likelihood_of_a_constant_is_bounded() -> None:
    outputs = torch.tensor([0.0, 0.0, -1e4], requires_grad=True)
    nll = negative_log_likelihood(mixture_from(outputs, 1), torch.zeros(1))
    nll.backward()
    assert nll.item() == pytest.approx(LOG_SIGMA_RANGE[0] + 0.5 * math.log(2 * math.pi), rel=1e-5)
    assert torch.isfinite(outputs.grad).all()


def test_nll_gradient_is_that_of_finite_differences() -> None:
    arguments = [torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    z = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def nll(logits: torch.Tensor, mean: torch.Tensor, log_sigma: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return negative_log_likelihood(Mixture(logits, mean, log_sigma), z)

    assert torch.autograd.gradcheck(nll, (*arguments, z))


@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0, 2.5])
def test_mean_and_deviation_at_a_temperature_are_those_of_its_samples(tau: float) -> None:
    mixture = at_temperature(mixture_of(LOGITS, MEANS, LOG_SIGMAS), tau)
    draws = drawn(tau)
    assert expectation(mixture).item() == pytest.approx(draws.mean(), abs=0.06)
    assert deviation(mixture).item() == pytest.approx(draws.std(), abs=0.04)


@given(numbers(-4, 4), numbers(-5, 5), numbers(-3, 1), st.floats(0.1, 4))
def test_deviation_is_that_of_the_moments(logits: list, means: list, log_sigmas: list, tau: float) -> None:
    weights, sigmas = special.softmax(np.array(logits) / tau), np.exp(log_sigmas) * math.sqrt(tau)
    mean = float(weights @ np.array(means))
    second = float(weights @ (np.square(means) + np.square(sigmas)))
    mixture = at_temperature(mixture_of(logits, means, log_sigmas), tau)
    assert expectation(mixture).item() == pytest.approx(mean, abs=1e-9)
    assert deviation(mixture).item() == pytest.approx(math.sqrt(second - mean**2), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("tau", [0.2, 1.0, 3.0])
def test_choice_entropy_agrees_with_scipy(tau: float) -> None:
    mixture = at_temperature(mixture_of(LOGITS, MEANS, LOG_SIGMAS), tau)
    assert choice_entropy(mixture).item() == pytest.approx(stats.entropy(tempered(tau)[0]), rel=1e-9)


def test_nothing_is_left_to_choose_at_zero() -> None:
    mixture = at_temperature(mixture_of(LOGITS, MEANS, LOG_SIGMAS), 0.0)
    assert choice_entropy(mixture).item() == 0
    assert deviation(mixture).item() == 0
    assert expectation(mixture).item() == MEANS[2]


def test_even_odds_are_the_most_there_is_to_choose() -> None:
    assert choice_entropy(mixture_of([2.0] * 3, MEANS, LOG_SIGMAS)).item() == pytest.approx(math.log(3))
