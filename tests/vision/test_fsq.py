import pytest
import torch
from patches import pictures

from worldmodels.codes import code_values
from worldmodels.vision.fsq import FSQ, FSQConfig, codes_used, quantised


def fsq(**options: object) -> FSQ:
    torch.manual_seed(1)
    return FSQ(FSQConfig(**{"model": "fsq", "latent_dim": 6, "learning_rate": 1e-3, "levels": 4, **options}))


def test_latents_are_codes_without_noise() -> None:
    posterior = fsq().encode(pictures(5))
    assert set(posterior.mu.unique().tolist()) <= set(code_values(4).tolist())
    assert torch.equal(posterior.sample(torch.randn(5, 6)), posterior.mu)


def test_rounding_lets_the_gradient_of_tanh_through() -> None:
    raw = torch.linspace(-2, 2, 9, requires_grad=True)
    z = quantised(raw[:, None], 8)
    z.sum().backward()
    assert torch.allclose(raw.grad, 1 - torch.tanh(raw.detach()).square(), atol=1e-6)
    assert (z[:, 0].detach() - torch.tanh(raw.detach())).abs().max() <= 1 / 7 + 1e-6


@pytest.mark.parametrize("levels", [2, 3, 8])
def test_every_code_can_be_reached(levels: int) -> None:
    raw = torch.linspace(-4, 4, 400)[:, None]
    assert sorted(quantised(raw, levels).unique().tolist()) == pytest.approx(code_values(levels).tolist())


def test_learning_lowers_the_squared_error() -> None:
    model, frames = fsq(), pictures(8)
    losses = [model.training_step(frames, seed=0)["loss"].item() for _ in range(25)]
    assert losses[-1] < 0.85 * losses[0]


def test_used_codes_are_counted_as_a_perplexity() -> None:
    one = torch.full((10, 1), -1.0)
    all_alike = code_values(4).repeat(5)[:, None]
    assert codes_used(one, 4).item() == pytest.approx(1)
    assert codes_used(all_alike, 4).item() == pytest.approx(4)
    assert codes_used(torch.cat([one.repeat(2, 1), all_alike], 1), 4).item() == pytest.approx(2.5)


def test_a_training_that_diverges_ends_in_a_loss_that_says_so() -> None:
    model, frames = fsq(learning_rate=1e30), pictures(4)
    losses = [model.training_step(frames, seed=0)["loss"] for _ in range(3)]
    assert not torch.isfinite(losses[-1])
