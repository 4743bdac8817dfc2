"""The lecture's GAN of 28x28 digits."""

from worldmodels.cli import stage_main
from worldmodels.image_gan.train import train_image_gan

if __name__ == "__main__":
    stage_main(train_image_gan, ["seed", "image_gan", "compute"])
