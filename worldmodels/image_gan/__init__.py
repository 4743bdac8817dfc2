"""The GAN of the lecture behind this project, to the letter: images of 28x28x1. No part of an agent.

The lecture is *VAEs and GANs* (CS 446/546). Its example, of which it prints the constructor call and the layers, is a
convolutional GAN in the manner of DCGAN (Radford et al. 2016), the one of chapter 4 of Foster's *Generative Deep
Learning* (2019).
"""

from worldmodels.image_gan.gan import GAN

__all__ = ["GAN"]
