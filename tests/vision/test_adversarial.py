"""What every model with a discriminator has to keep to; what is particular to one stands in a file of its own."""

import copy

import pytest
import torch
from patches import pictures

from worldmodels.config import VisionConfig
from worldmodels.registry import vision_model
from worldmodels.vision import build_vision
from worldmodels.vision.adversarial import AdversarialModel, cross_entropy, frozen, seeded, verdicts

OPTIONS = {
    "gan": {"inversion": 0.5, "steps": 4},
    "vae_gan": {"warm_up": 0.25, "steps": 4},
    "bigan": {"steps": 4},
}


def model_of(name: str) -> AdversarialModel:
    torch.manual_seed(1)
    kind = vision_model(name).Config
    model = build_vision(kind(**{"model": name, "latent_dim": 5, "learning_rate": 1e-3, **OPTIONS[name]}))
    assert isinstance(model, AdversarialModel)
    return model


@pytest.mark.parametrize("name", OPTIONS)
def test_a_training_that_was_saved_goes_on_as_if_it_had_not_been(name: str) -> None:
    frames, one = pictures(6), model_of(name)
    for step in range(2):
        one.training_step(frames, seed=step)
    weights, state = copy.deepcopy(one.state_dict()), {n: t.clone() for n, t in one.training_state().items()}
    torch.manual_seed(99)
    other = model_of(name)
    other.load_state_dict(weights)
    other.load_training_state(state)
    for step in (2, 3):
        expected, found = one.training_step(frames, seed=step), other.training_step(frames, seed=step)
        assert {n: v.item() for n, v in found.items()} == {n: v.item() for n, v in expected.items()}
    for tensor, expected in zip(other.state_dict().values(), one.state_dict().values(), strict=True):
        assert torch.equal(tensor, expected)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_step_draws_from_its_seed_only_and_leaves_torchs_generator_alone(name: str) -> None:
    frames, before = pictures(6), None
    for noise in (7, 8):
        model = model_of(name)
        torch.manual_seed(noise)
        state = torch.get_rng_state()
        loss = model.training_step(frames, seed=3)["loss"].item()
        assert torch.equal(torch.get_rng_state(), state)
        assert before in (None, loss)
        before = loss


@pytest.mark.parametrize("name", OPTIONS)
def test_all_weights_learn(name: str) -> None:
    model, frames = model_of(name), pictures(6)
    before = {n: p.clone() for n, p in model.named_parameters()}
    for step in range(4):
        model.train()
        model.training_step(frames, seed=step)
    still = [n for n, p in model.named_parameters() if torch.equal(p, before[n])]
    assert still == []
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", OPTIONS)
def test_validating_changes_nothing_and_measures_how_varied_new_frames_are(name: str) -> None:
    model, frames = model_of(name).eval(), pictures(8)
    before = copy.deepcopy(model.state_dict())
    values = model.validate(frames, seed=1)
    assert {"loss", "accuracy_real", "accuracy_fake", "spread", "recall", "coverage"} <= set(values)
    assert {n: v.item() for n, v in model.validate(frames, seed=1).items()} == {n: v.item() for n, v in values.items()}
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("name", OPTIONS)
def test_it_encodes_and_decodes_frames(name: str) -> None:
    model = model_of(name).eval()
    mu, logvar = model.encode(pictures(3))
    assert mu.shape == logvar.shape == (3, 5)
    frames = model.decode(mu)
    assert frames.shape == (3, 64, 64, 3)
    assert frames.min() >= 0
    assert frames.max() <= 1
    assert model.to(torch.bfloat16).encode(pictures(3)).mu.dtype == torch.float32
    assert model.decode(mu).dtype == torch.float32


@pytest.mark.parametrize("decoder", ["transposed", "upsample"])
@pytest.mark.parametrize("name", OPTIONS)
def test_both_decoders_learn(name: str, decoder: str) -> None:
    kind = vision_model(name).Config
    model = build_vision(kind(**{"model": name, "latent_dim": 5, "decoder": decoder, **OPTIONS[name]}))
    assert torch.isfinite(model.training_step(pictures(6), seed=1)["loss"])


def test_a_frozen_module_passes_gradients_on_but_keeps_none() -> None:
    layer, inputs = torch.nn.Linear(3, 1), torch.randn(4, 3, requires_grad=True)
    with frozen(layer):
        layer(inputs).sum().backward()
    assert layer.weight.grad is None
    assert inputs.grad is not None
    assert layer.weight.requires_grad


def test_seeded_numbers_are_those_of_the_seed() -> None:
    with seeded(5, torch.device("cpu")):
        inside = torch.randn(3)
    assert torch.equal(inside, torch.randn(3, generator=torch.Generator().manual_seed(5)))


def test_verdicts_count_how_often_the_discriminator_is_right() -> None:
    real, fake = torch.tensor([2.0, -1.0, 3.0, 0.5]), torch.tensor([-2.0, 4.0])
    found = verdicts(real, fake)
    assert found["accuracy_real"] == 0.75
    assert found["accuracy_fake"] == 0.5
    probability = torch.sigmoid(torch.cat([real, -fake]))
    expected = -0.5 * (probability[:4].log().mean() + probability[4:].log().mean())
    assert found["loss_discriminator"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert cross_entropy(torch.zeros(3), 1).item() == pytest.approx(0.6931, abs=1e-4)


def test_the_last_weights_are_kept() -> None:
    assert all(vision_model(name).keeps_last for name in OPTIONS)
    assert not vision_model("vae").keeps_last
    assert not build_vision(VisionConfig(model="autoencoder")).keeps_last
