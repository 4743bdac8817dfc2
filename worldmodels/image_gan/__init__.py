"""The GAN of the lecture behind this project, to the letter: images of 28x28x1. No part of an agent."""

from worldmodels.image_gan.gan import GAN

__all__ = ["GAN"]
