import math

import numpy as np
import pytest
import torch
from patches import pictures
from torch import distributions as D

from worldmodels.vision import Posterior
from worldmodels.vision.vae import VAE, VAEConfig, kl_to_standard_normal

PIXELS = 64 * 64 * 3


def vae(**options: object) -> VAE:
    torch.manual_seed(1)
    return VAE(VAEConfig(**options))


def constant_vae(mu: float, logvar: float, grey: float, **options: object) -> VAE:
    """A VAE with the same posterior and the same grey reconstruction for every frame."""
    model = vae(latent_dim=4, **options)
    with torch.no_grad():
        for layer, bias in ((model.mu, mu), (model.logvar, logvar), (model.decoder[-2], math.log(grey / (1 - grey)))):
            layer.weight.zero_()
            layer.bias.fill_(bias)
    return model


@pytest.mark.parametrize(("latent_dim", "count"), [(32, 4_348_547), (64, 4_446_915)])
def test_it_has_the_papers_number_of_parameters(latent_dim: int, count: int) -> None:
    assert sum(p.numel() for p in vae(latent_dim=latent_dim).parameters() if p.requires_grad) == count


def test_kl_is_that_of_torch_distributions() -> None:
    mu, logvar = 3 * torch.randn(50, 7), 4 * torch.randn(50, 7)
    expected = D.kl_divergence(D.Normal(mu, torch.exp(0.5 * logvar)), D.Normal(0.0, 1.0))
    assert torch.allclose(kl_to_standard_normal(Posterior(mu, logvar)), expected, rtol=1e-4, atol=1e-5)


def test_kl_has_its_only_minimum_at_the_standard_normal() -> None:
    logvar = torch.linspace(-2, 2, 401, dtype=torch.float64)[:, None]
    kl = kl_to_standard_normal(Posterior(torch.zeros_like(logvar), logvar))
    assert kl.min() == 0
    assert logvar[kl.argmin()].abs() < 1e-9


def test_samples_of_a_posterior_have_its_mean_and_deviation() -> None:
    posterior = Posterior(torch.full((100_000, 1), 2.0), torch.full((100_000, 1), 2 * math.log(0.5)))
    z = posterior.sample(torch.randn(100_000, 1, generator=torch.Generator().manual_seed(0)))
    assert z.mean().item() == pytest.approx(2, abs=0.01)
    assert z.std().item() == pytest.approx(0.5, abs=0.01)


class LinearGaussian:
    """z ~ N(0, 1), x | z ~ N(w z + b, s^2 I): evidence and posterior in closed form, the ELBO from the VAE's pieces."""

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(3)
        self.w, self.b, self.x = (torch.randn(5, generator=random, dtype=torch.float64) for _ in range(3))
        self.s = 0.7

    def evidence(self) -> float:
        covariance = torch.outer(self.w, self.w) + self.s**2 * torch.eye(5, dtype=torch.float64)
        return D.MultivariateNormal(self.b, covariance).log_prob(self.x).item()

    def posterior(self) -> tuple[float, float]:
        """Mean and variance of z given x."""
        variance = 1 / (1 + (self.w @ self.w).item() / self.s**2)
        return variance * (self.w @ (self.x - self.b)).item() / self.s**2, variance

    def elbo(self, mean: float, variance: float) -> float:
        """E_q log p(x | z) - KL(q || p), the expectation by Gauss-Hermite quadrature: exact for quadratics."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(3)
        noise = torch.from_numpy(nodes)[:, None]
        one = torch.ones(3, 1, dtype=torch.float64)
        posterior = Posterior(mean * one, math.log(variance) * one)
        z = posterior.sample(noise)
        log_likelihood = D.Normal(z * self.w + self.b, self.s).log_prob(self.x).sum(1)
        expected = (torch.from_numpy(weights / weights.sum()) * log_likelihood).sum()
        return (expected - kl_to_standard_normal(posterior)[0].sum()).item()


def test_the_elbo_of_the_exact_posterior_is_the_evidence() -> None:
    model = LinearGaussian()
    assert model.elbo(*model.posterior()) == pytest.approx(model.evidence(), abs=1e-9)


@pytest.mark.parametrize(("shift", "stretch"), [(0.5, 1.0), (0.0, 2.0), (-0.3, 0.4)])
def test_the_elbo_of_another_posterior_is_lower_by_its_kl_to_the_exact_one(shift: float, stretch: float) -> None:
    model = LinearGaussian()
    mean, variance = model.posterior()
    other = D.Normal(torch.tensor(mean + shift, dtype=torch.float64), math.sqrt(variance * stretch))
    exact = D.Normal(torch.tensor(mean, dtype=torch.float64), math.sqrt(variance))
    gap = D.kl_divergence(other, exact).item()
    assert model.evidence() - model.elbo(mean + shift, variance * stretch) == pytest.approx(gap, abs=1e-9)


def test_the_loss_is_a_sum_over_pixels_plus_the_kl() -> None:
    model = constant_vae(mu=1.5, logvar=-1.0, grey=0.25, kl_floor=0.0, beta=2.0)
    white = torch.full((3, 64, 64, 3), 255, dtype=torch.uint8)
    metrics = model.loss(white, seed=1)
    kl = 4 * 0.5 * (math.exp(-1) + 1.5**2 + 1 - 1)
    assert metrics["reconstruction"].item() == pytest.approx(PIXELS * 0.75**2, rel=1e-4)
    assert metrics["kl"].item() == pytest.approx(kl, rel=1e-4)
    assert metrics["loss"].item() == pytest.approx(PIXELS * 0.75**2 + 2 * kl, rel=1e-4)


@pytest.mark.parametrize("grey", [0.25, 0.9])
def test_fourth_powers_of_errors_are_added_to_the_loss_and_to_nothing_else(grey: float) -> None:
    white = torch.full((3, 64, 64, 3), 255, dtype=torch.uint8)
    plain = constant_vae(0.0, 0.0, grey, beta=0.0).loss(white, seed=1)
    weighted = constant_vae(0.0, 0.0, grey, beta=0.0, outlier_weight=30.0).loss(white, seed=1)
    added = (weighted["loss"] - plain["loss"]).item()
    assert added == pytest.approx(30 * PIXELS * (1 - grey) ** 4, rel=1e-3)
    assert weighted["reconstruction"].item() == plain["reconstruction"].item()


def test_the_floor_is_on_the_total_kl_of_each_frame() -> None:
    model, frames = vae(latent_dim=4), pictures(6)
    with torch.no_grad():
        model.mu.weight.mul_(30)
    kl = kl_to_standard_normal(model.encode(frames)).sum(1)
    floor = kl.median().item()
    model = vae(latent_dim=4, kl_floor=floor / 4)
    with torch.no_grad():
        model.mu.weight.mul_(30)
    metrics = model.loss(frames, seed=1)
    floored = torch.maximum(kl, torch.tensor(floor)).mean().item()
    assert floored > max(floor, kl.mean().item()) * 1.01  # the frames lie on both sides of the floor
    assert (metrics["loss"] - metrics["reconstruction"]).item() == pytest.approx(floored, rel=1e-2)


def test_a_floor_on_each_dimension_is_on_its_average_over_the_batch() -> None:
    model, frames = vae(latent_dim=4, kl_floor=0.7, floor_on="dimension"), pictures(6)
    with torch.no_grad():
        model.mu.bias[:2] = 3.0
    kl = kl_to_standard_normal(model.encode(frames)).mean(0)
    assert kl[:2].min() > 0.7 > kl[2:].max()
    metrics = model.loss(frames, seed=1)
    expected = (kl[:2].sum() + 2 * 0.7).item()
    assert (metrics["loss"] - metrics["reconstruction"]).item() == pytest.approx(expected, rel=1e-3)
    metrics["loss"].backward()
    assert model.logvar.bias.grad is not None


def test_the_decoder_can_upsample_instead() -> None:
    model, frames = vae(latent_dim=8, learning_rate=1e-3, decoder="upsample"), pictures(4)
    assert not any(isinstance(layer, torch.nn.ConvTranspose2d) for layer in model.modules())
    losses = [model.training_step(frames, seed=step)["loss"].item() for step in range(25)]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(("floor", "pulls"), [(0.1, True), (10.0, False)])
def test_the_kl_pulls_only_above_its_floor(floor: float, pulls: bool) -> None:
    model = constant_vae(mu=1.0, logvar=0.0, grey=0.5, kl_floor=floor)
    with torch.no_grad():
        model.expand.weight.zero_()  # the reconstruction does not depend on z
    model.loss(pictures(2), seed=1)["loss"].backward()
    assert bool(model.mu.bias.grad.any()) == pulls


def test_a_dead_dimension_is_counted() -> None:
    model = constant_vae(mu=0.0, logvar=0.0, grey=0.5)
    with torch.no_grad():
        model.mu.bias[1] = 1.0
    assert model.loss(pictures(2), seed=1)["dead_dimensions"].item() == 3


def test_gradients_reach_every_weight() -> None:
    model = vae(latent_dim=4, kl_floor=0.0)
    model.loss(pictures(2), seed=1)["loss"].backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_a_few_steps_on_few_frames_lower_the_loss() -> None:
    model, frames = vae(latent_dim=8, learning_rate=1e-3), pictures(4)
    losses = [model.training_step(frames, seed=step)["loss"].item() for step in range(25)]
    assert losses[-1] < 0.9 * losses[0]


def test_noise_comes_from_the_seed_only() -> None:
    model, frames = vae(latent_dim=4), pictures(2)
    torch.manual_seed(7)
    one = model.validate(frames, seed=1)["loss"]
    torch.manual_seed(8)
    assert torch.equal(model.validate(frames, seed=1)["loss"], one)
    assert not torch.equal(model.validate(frames, seed=2)["loss"], one)


def test_reconstructions_are_frames_in_zero_to_one() -> None:
    model = vae()
    frames = model.decode(model.encode(pictures(2)).mu)
    assert frames.shape == (2, 64, 64, 3)
    assert frames.min() >= 0
    assert frames.max() <= 1


def test_rows_columns_and_colours_keep_their_places() -> None:
    """Encoding a frame is encoding the image that torch's convolutions expect, channels first, in 0..1."""
    model, frames = vae(), pictures(2)
    images = (frames.double() / 255).float().permute(0, 3, 1, 2).contiguous()
    assert torch.allclose(model.mu(model.encoder(images)), model.encode(frames).mu, atol=1e-5)


def test_latents_in_bfloat16_are_close_and_float32() -> None:
    model, frames = vae(), pictures(2)
    exact = model.encode(frames).mu
    rounded = model.to(torch.bfloat16).encode(frames).mu
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().max() < 0.05 * exact.abs().max() + 0.01
