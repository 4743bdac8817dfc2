import pytest
import torch
from patches import pictures

from worldmodels.errors import UserError
from worldmodels.vision.gan import GAN, GANConfig


def gan(**options: object) -> GAN:
    torch.manual_seed(1)
    return GAN(GANConfig(**{"model": "gan", "latent_dim": 4, **options}))


def test_it_refuses_to_encode_without_an_encoder() -> None:
    model = gan()
    assert not model.encodes
    with pytest.raises(UserError, match=r"has no encoder, so it cannot be V .*vision\.inversion"):
        model.encode(pictures(2))


def test_the_encoder_is_fitted_in_the_last_part_of_the_training_while_the_game_rests() -> None:
    model, frames = gan(inversion=0.5, steps=4, learning_rate=1e-3), pictures(6)

    def weights() -> dict[str, torch.Tensor]:
        return {n: p.clone() for n, p in model.state_dict().items()}

    for step, moving in enumerate([{"generator", "discriminator"}] * 2 + [{"encoder"}] * 2):
        before = weights()
        model.train()
        model.training_step(frames, seed=step)
        changed = {n.split(".")[0] for n, t in weights().items() if not torch.equal(t, before[n])}
        assert changed == moving


def test_inversion_learns_the_latents_of_fakes() -> None:
    model, frames = gan(inversion=0.9, steps=60, learning_rate=1e-3, latent_dim=1), pictures(32)
    model.taken = 6
    with torch.no_grad():
        model.generator.decoder[-2].weight.mul_(10)  # let untrained fakes differ
    for _ in range(30):
        model.generator(torch.randn(32, 1))  # its running statistics settle
    for step in range(40):
        model.train()
        model.training_step(frames, seed=step)
    assert model.eval().validate(frames, seed=1)["inversion"] < 0.5  # a guess: 1


def test_the_discriminator_learns_faster_by_the_rate_asked_for() -> None:
    model = gan(learning_rate=3e-4, discriminator_rate=2.0)
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in model.optimizers.items()}
    assert rates == {"generator": 3e-4, "discriminator": 6e-4}
