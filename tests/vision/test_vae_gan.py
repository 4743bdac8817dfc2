import pytest
import torch
from patches import pictures
from torch.autograd import grad

from worldmodels.vision.adversarial import cross_entropy
from worldmodels.vision.vae_gan import VAEGAN, VAEGANConfig


def vae_gan(**options: object) -> VAEGAN:
    torch.manual_seed(1)
    return VAEGAN(VAEGANConfig(**{"model": "vae_gan", "latent_dim": 4, "learning_rate": 1e-3, **options}))


def test_the_discriminator_is_switched_on_after_the_warm_up() -> None:
    model, frames = vae_gan(warm_up=0.5, steps=4), pictures(4)
    played = ["loss_generator" in model.training_step(frames, seed=step) for step in range(4)]
    assert played == [False, False, True, True]


def test_the_vae_within_has_the_papers_size() -> None:
    assert sum(p.numel() for p in vae_gan(latent_dim=32).vae.parameters()) == 4_348_547


@pytest.mark.parametrize("share", [0.3, 2.0])
def test_the_adversarial_gradient_at_the_last_layer_is_a_share_of_the_squared_errors(share: float) -> None:
    model, images = vae_gan(adversarial_weight=share), pictures(4).permute(0, 3, 1, 2) / 255
    metrics, decoded = model.vae.elbo(images, torch.randn(4, 4))
    fooled = cross_entropy(model._logits(decoded), 1)
    (pull,) = grad(fooled, decoded, retain_graph=True)
    weight = model._weight(metrics["reconstruction"], pull, decoded)
    last = model.vae.decoder[-2].weight
    lengths = [grad(loss, last, retain_graph=True)[0].norm() for loss in (weight * fooled, metrics["reconstruction"])]
    assert (lengths[0] / lengths[1]).item() == pytest.approx(share, rel=1e-3)


def test_a_step_follows_the_gradient_of_the_weighted_sum() -> None:
    """The shortcut around a second pass through the discriminator gives what autograd gives for the whole loss."""
    model, frames = vae_gan(warm_up=1e-6), pictures(4)
    model.taken = 1
    reference = vae_gan(warm_up=1e-6)
    images = frames.permute(0, 3, 1, 2) / 255
    torch.manual_seed(5)
    metrics, decoded = reference.vae.elbo(images, torch.randn(4, 4))
    fooled = cross_entropy(reference._logits(decoded), 1)
    (pull,) = grad(fooled, decoded, retain_graph=True)
    weight = reference._weight(metrics["reconstruction"], pull, decoded)
    (metrics["loss"] + weight * fooled).backward()
    model.training_step(frames, seed=5)
    for parameter, expected in zip(model.vae.parameters(), reference.vae.parameters(), strict=True):
        assert torch.allclose(parameter.grad, expected.grad, rtol=1e-3, atol=1e-5)
