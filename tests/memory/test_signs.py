import numpy as np
import torch

from worldmodels.memory.mixture import LOG_SIGMA_RANGE, Mixture
from worldmodels.memory.signs import by_heart_sentence, collapse_sentence, dead_dimensions, dead_sentence

N, Z, K = 40, 4, 3


def posteriors(spread: list[float], sigma: float) -> tuple[np.ndarray, np.ndarray]:
    mu = np.random.default_rng(1).standard_normal((1000, len(spread))).astype(np.float32) * np.array(spread, np.float32)
    return mu, np.full_like(mu, 2 * np.log(sigma)) if sigma else np.full_like(mu, -1000)


def test_a_dimension_that_is_all_noise_is_dead() -> None:
    mu, logvar = posteriors([1, 0.01, 0.2, 0], 1.0)
    assert dead_dimensions(mu, logvar).tolist() == [1, 3]


def test_without_noise_only_a_constant_dimension_is_dead() -> None:
    mu, logvar = posteriors([1, 1e-6, 0], 0)
    assert dead_dimensions(mu, logvar).tolist() == [2]


def test_a_sentence_is_said_once_half_of_the_dimensions_are_dead() -> None:
    assert dead_sentence(np.arange(3), 8) is None
    assert "4 of V's 8 latent dimensions are dead" in str(dead_sentence(np.arange(4), 8))


def mixture(**parts: torch.Tensor) -> Mixture:
    torch.manual_seed(1)
    shape = (N, Z, K)
    return Mixture(torch.randn(shape), torch.randn(shape), torch.randn(shape))._replace(**parts)


def test_a_healthy_mixture_shows_nothing() -> None:
    assert collapse_sentence(mixture()) is None


def test_a_mixture_that_uses_one_gaussian_throughout_has_collapsed() -> None:
    logits = torch.zeros(N, Z, K)
    logits[:, :2, 1] = 20
    assert "one of its 3 Gaussians for 2 of 4 latent dimensions" in str(collapse_sentence(mixture(logits=logits)))


def test_a_mixture_that_is_sure_of_another_gaussian_at_every_step_has_not_collapsed() -> None:
    logits = torch.zeros(N, Z, K)
    logits[torch.arange(N), :, torch.arange(N) % K] = 20
    assert collapse_sentence(mixture(logits=logits)) is None


def test_one_gaussian_cannot_collapse() -> None:
    assert collapse_sentence(Mixture(*(part[..., :1] for part in mixture()))) is None


def test_gaussians_as_narrow_as_can_be_are_named() -> None:
    log_sigma = torch.zeros(N, Z, K)
    log_sigma[:, 1:] = LOG_SIGMA_RANGE[0]
    assert "as sure as it can be, at every step, of 3 of 4" in str(collapse_sentence(mixture(log_sigma=log_sigma)))


def test_heads_that_lose_far_more_on_held_out_episodes_have_learned_theirs_by_heart() -> None:
    learned, held_out = {"loss": 1.0, "done": 0.004, "reward": 0.2}, {"loss": 1.1, "done": 0.011, "reward": 0.25}
    sentence = str(by_heart_sentence(learned, held_out, 64))
    assert "(loss of done 0.0110 there, 0.0040 on its own)" in sentence
    assert by_heart_sentence(learned, held_out, 8) is None
    assert by_heart_sentence(held_out, learned, 64) is None
    assert by_heart_sentence({"loss": 1.0}, {"loss": 9.0}, 64) is None
