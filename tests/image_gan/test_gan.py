import numpy as np
import pytest
import torch
import torch.nn.functional as F

from worldmodels.config import ImageGANConfig
from worldmodels.errors import UserError
from worldmodels.image_gan import GAN
from worldmodels.image_gan.networks import SameConv2d
from worldmodels.image_gan.train import lectures_gan


def printed() -> GAN:
    """The call that the lecture prints, to the letter."""
    gan = GAN(input_dim = (28,28,1)
            , discriminator_conv_filters = [64,64,128,128]
            , discriminator_conv_kernel_size = [5,5,5,5]
            , discriminator_conv_strides = [2,2,2,1]
            , discriminator_batch_norm_momentum = None
            , discriminator_activation = 'relu'
            , discriminator_dropout_rate = 0.4
            , discriminator_learning_rate = 0.0008
            , generator_initial_dense_layer_size = (7, 7, 64)
            , generator_upsample = [2,2, 1, 1]
            , generator_conv_filters = [128,64, 64,1]
            , generator_conv_kernel_size = [5,5,5,5]
            , generator_conv_strides = [1,1, 1, 1]
            , generator_batch_norm_momentum = 0.9
            , generator_activation = 'relu'
            , generator_dropout_rate = None
            , generator_learning_rate = 0.0004
            , optimiser = 'rmsprop'
            , z_dim = 100
            )  # fmt: skip
    return gan  # noqa: RET504  # as printed


SMALL = {
    "input_dim": (8, 8, 1),
    "discriminator_conv_filters": [4, 4],
    "discriminator_conv_kernel_size": [3, 3],
    "discriminator_conv_strides": [2, 2],
    "discriminator_batch_norm_momentum": None,
    "discriminator_activation": "leaky_relu",
    "discriminator_dropout_rate": 0.2,
    "discriminator_learning_rate": 1e-3,
    "generator_initial_dense_layer_size": (4, 4, 4),
    "generator_upsample": [2, 1],
    "generator_conv_filters": [4, 1],
    "generator_conv_kernel_size": [3, 3],
    "generator_conv_strides": [1, 1],
    "generator_batch_norm_momentum": 0.9,
    "generator_activation": "relu",
    "generator_dropout_rate": None,
    "generator_learning_rate": 1e-3,
    "optimiser": "adam",
    "z_dim": 3,
}


def small(**changed: object) -> GAN:
    torch.manual_seed(1)
    return GAN(**{**SMALL, **changed})


def learning(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def running(module: torch.nn.Module) -> int:
    return sum(buffer.numel() for buffer in module.buffers() if buffer.is_floating_point())


def test_it_has_the_lectures_number_of_parameters() -> None:
    gan = printed()
    assert (learning(gan.discriminator), running(gan.discriminator)) == (720_833, 0)
    assert (learning(gan.generator), running(gan.generator)) == (837_377, 6_784)
    assert learning(gan.generator) + running(gan.generator) == 844_161


def test_the_layers_are_the_lectures() -> None:
    gan = printed()
    counts = [learning(layer) for layer in gan.discriminator if learning(layer)]
    assert counts == [1_664, 102_464, 204_928, 409_728, 2_049]
    counts = [learning(layer) + running(layer) for layer in gan.generator if learning(layer)]
    assert counts == [316_736, 12_544, 204_928, 512, 204_864, 256, 102_464, 256, 1_601]
    shapes, images = [], torch.zeros(1, 1, 28, 28)
    for layer in gan.discriminator:
        images = layer(images)
        shapes += [tuple(images.shape[1:])] if isinstance(layer, SameConv2d) else []
    assert shapes == [(64, 14, 14), (64, 7, 7), (128, 4, 4), (128, 4, 4)]


def test_the_stage_trains_the_lectures_gan() -> None:
    config = ImageGANConfig()
    one, other = printed(), lectures_gan(config)
    assert str(one) == str(other)
    for player, optimizer in one.optimizers.items():
        assert str(optimizer) == str(other.optimizers[player])
    assert [o.param_groups[0]["lr"] for o in one.optimizers.values()] == [8e-4, 4e-4]


@pytest.mark.parametrize(("size", "kernel", "stride"), [(28, 5, 2), (14, 5, 2), (7, 5, 2), (4, 5, 1), (9, 4, 3)])
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    layer, image = SameConv2d(1, 1, kernel, stride), torch.randn(1, 1, size, size)
    count = -(-size // stride)
    missing = max(0, (count - 1) * stride + kernel - size)
    padded = np.pad(image[0, 0].numpy(), [(missing // 2, missing - missing // 2)] * 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel))[::stride, ::stride]
    expected = (windows * layer.weight[0, 0].detach().numpy()).sum((2, 3)) + layer.bias.item()
    assert layer(image).shape == (1, 1, count, count)
    np.testing.assert_allclose(layer(image)[0, 0].detach().numpy(), expected, atol=1e-5)


def test_batch_norm_keeps_the_share_that_it_is_told() -> None:
    gan = small(generator_batch_norm_momentum=0.75)
    layer = next(layer for layer in gan.generator if isinstance(layer, torch.nn.BatchNorm1d))
    inputs = gan.generator[0](gan.noise(50))
    layer(inputs)
    assert torch.allclose(layer.running_mean, 0.25 * inputs.mean(0), atol=1e-6)


def test_the_discriminator_is_frozen_while_the_generator_learns() -> None:
    gan = small()
    before = {name: tensor.clone() for name, tensor in gan.state_dict().items()}
    gan.train_generator(5)
    changed = {name.split(".")[0] for name, tensor in gan.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"generator"}
    assert all(parameter.requires_grad for parameter in gan.parameters())


def test_the_generators_weights_stay_while_the_discriminator_learns() -> None:
    gan = small()
    before = [parameter.clone() for parameter in gan.generator.parameters()]
    gan.train_discriminator(torch.zeros(5, 8, 8, 1))
    assert all(torch.equal(a, b) for a, b in zip(gan.generator.parameters(), before, strict=True))


def test_the_losses_are_binary_cross_entropies() -> None:
    gan = small(discriminator_dropout_rate=None, discriminator_learning_rate=1e-12)
    with torch.no_grad():
        for parameter in gan.parameters():
            parameter.normal_(0, 0.5)
    images = torch.randn(6, 8, 8, 1)
    torch.manual_seed(3)
    metrics = gan.train_discriminator(images)
    torch.manual_seed(3)
    fakes = gan.generate(gan.noise(6))
    real, fake = gan.predict(images), gan.predict(fakes)
    expected = 0.5 * (F.binary_cross_entropy(real, torch.ones(6)) + F.binary_cross_entropy(fake, torch.zeros(6)))
    assert metrics["loss_discriminator"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert metrics["accuracy_real"].item() == pytest.approx((real > 0.5).float().mean().item())
    assert metrics["accuracy_fake"].item() == pytest.approx((fake <= 0.5).float().mean().item())


def test_the_discriminator_learns_to_tell_what_differs() -> None:
    gan = small(discriminator_dropout_rate=None, discriminator_learning_rate=1e-2)
    images = 1 - 0.1 * torch.rand(64, 8, 8, 1)
    for _ in range(15):
        metrics = gan.train_discriminator(images)
    assert min(metrics["accuracy_real"], metrics["accuracy_fake"]) == 1


def test_the_generator_can_enlarge_by_transposed_convolutions() -> None:
    gan = small(generator_upsample=[1, 1], generator_conv_strides=[2, 1])
    assert gan.generate(gan.noise(2)).shape == (2, 8, 8, 1)
    assert any(isinstance(layer, torch.nn.ConvTranspose2d) for layer in gan.generator)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"discriminator_conv_strides": [2]}, "filters has 2 entries and discriminator_conv_strides 1"),
        ({"generator_upsample": [2, 1, 1]}, "generator_conv_filters has 2 entries and generator_upsample 3"),
        ({"generator_upsample": [2, 2]}, r"makes images of \(16, 16, 1\), but input_dim is \(8, 8, 1\)"),
        ({"generator_activation": "rely"}, "no activation rely: the known ones are relu"),
        ({"optimiser": "sgd"}, "no optimiser sgd: the known ones are rmsprop and adam"),
        ({"generator_conv_kernel_size": [3, 1], "generator_conv_strides": [1, 2]}, "leaves holes"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        small(**changed)
