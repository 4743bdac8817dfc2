"""The stage of the lecture's GAN made small: patterns instead of digits, and networks that learn them in seconds."""

import numpy as np
from numpy.typing import NDArray

import worldmodels.image_gan.train as stage
from worldmodels.config import ImageGANConfig
from worldmodels.image_gan import GAN


def squares(count: int = 200) -> NDArray[np.uint8]:
    """White squares of 6 pixels at random places of 28x28x1 images."""
    random, images = np.random.default_rng(0), np.zeros((count, 28, 28, 1), np.uint8)
    for image, (row, column) in zip(images, random.integers(4, 18, (count, 2)), strict=True):
        image[row : row + 6, column : column + 6] = 255
    return images


def small_gan(config: ImageGANConfig) -> GAN:
    """A GAN of the lecture's kind with few filters."""
    return GAN(
        input_dim=(28, 28, 1),
        discriminator_conv_filters=[8, 16],
        discriminator_conv_kernel_size=[5, 5],
        discriminator_conv_strides=[2, 2],
        discriminator_batch_norm_momentum=None,
        discriminator_activation="relu",
        discriminator_dropout_rate=0.4,
        discriminator_learning_rate=config.discriminator_learning_rate,
        generator_initial_dense_layer_size=(7, 7, 8),
        generator_upsample=[2, 2],
        generator_conv_filters=[8, 1],
        generator_conv_kernel_size=[5, 5],
        generator_conv_strides=[1, 1],
        generator_batch_norm_momentum=0.9,
        generator_activation="relu",
        generator_dropout_rate=None,
        generator_learning_rate=config.generator_learning_rate,
        optimiser="rmsprop",
        z_dim=8,
    )


def make_small() -> None:
    """Let the stage, in this process, train the small GAN on squares."""
    stage.digits, stage.lectures_gan, stage.MEASURED = squares, small_gan, 100  # type: ignore[assignment]
