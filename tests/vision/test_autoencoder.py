import math

import pytest
import torch
from patches import pictures

from worldmodels.vision.autoencoder import Autoencoder, Standardiser
from worldmodels.vision.base import SIGMA
from worldmodels.vision.networks import ConvConfig


def autoencoder(**options: object) -> Autoencoder:
    torch.manual_seed(1)
    return Autoencoder(ConvConfig(**{"latent_dim": 6, "learning_rate": 1e-3, **options}))


def test_latents_that_have_settled_are_standardised_and_can_be_taken_back() -> None:
    standardise, generator = Standardiser(3), torch.Generator().manual_seed(1)

    def latents(count: int) -> torch.Tensor:
        return torch.tensor([5.0, -0.1, 0.0]) + torch.tensor([0.5, 3.0, 1.0]) * torch.randn(
            count, 3, generator=generator
        )

    for _ in range(100):
        standardise.update(latents(200))
    z = standardise(latents(5000))
    assert z.mean(0).abs().max() < 0.1
    assert (z.std(0) - 1).abs().max() < 0.1
    assert torch.allclose(standardise(standardise.back(z)), z, atol=1e-5)


def test_its_statistics_are_not_rounded_where_the_networks_become_bfloat16() -> None:
    standardise = Standardiser(2)
    standardise.mean.copy_(torch.tensor([10.3, 0.7]))
    standardise.square.copy_(standardise.mean.square() + torch.tensor([0.49, 1e-4]))
    latents = standardise.mean + torch.tensor([[1.4, -0.02], [0.0, 0.0]])
    expected = standardise(latents)
    assert expected == pytest.approx(torch.tensor([[2.0, -2.0], [0.0, 0.0]]), abs=0.01)
    low = torch.nn.Sequential(standardise).to(torch.bfloat16)
    assert torch.equal(low(latents), expected)


def test_it_reports_that_it_is_all_but_certain() -> None:
    logvar = autoencoder().encode(pictures(3)).logvar
    assert logvar.unique().item() == pytest.approx(2 * math.log(SIGMA))


def test_it_is_deterministic_and_one_frame_is_enough_for_it_to_encode() -> None:
    model, frames = autoencoder().eval(), pictures(5)
    together = model.encode(frames).mu
    assert torch.allclose(model.encode(frames[2:3]).mu, together[2:3], atol=1e-5)


def test_learning_lowers_the_squared_error() -> None:
    model, frames = autoencoder(), pictures(8)
    losses = [model.training_step(frames, seed=0)["loss"].item() for _ in range(25)]
    assert losses[-1] < 0.7 * losses[0]


def test_decoding_takes_the_standardisation_back() -> None:
    model, frames = autoencoder(), pictures(8)
    for _ in range(10):
        model.training_step(frames, seed=0)
    reported = model.validate(frames, seed=0)["loss"]
    decoded = model.decode(model.encode(frames).mu)
    assert (decoded - frames / 255).square().sum((1, 2, 3)).mean().item() == pytest.approx(reported.item(), rel=1e-3)
