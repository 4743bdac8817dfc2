"""A GAN as the lecture constructs and trains it."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from worldmodels.errors import UserError
from worldmodels.image_gan.networks import discriminator, generator, same_lengths
from worldmodels.tensors import load_optimizer, optimizer_tensors
from worldmodels.vision.adversarial import cross_entropy, frozen, learn

WEIGHT_DEVIATION = 0.02
"""Standard deviation of the first weights, which are normal, as GANs like them (Radford et al. 2016)."""


class GAN(nn.Module):
    """Generator and discriminator, each with its optimiser; the arguments are the lecture's.

    With the lecture's arguments the discriminator has 720,833 parameters, the generator 844,161, of which 837,377
    learn (the rest are running statistics). Images are (B, H, W, C) in -1..1.

    Args:
        input_dim: height, width and channels of an image.
        discriminator_conv_filters, generator_conv_filters: channels that each layer gives; the generator's last are
            those of an image.
        discriminator_conv_kernel_size, generator_conv_kernel_size: of each layer.
        discriminator_conv_strides, generator_conv_strides: of each layer.
        discriminator_batch_norm_momentum, generator_batch_norm_momentum: share of the running statistics that is kept
            at each step; None: no batch normalisation.
        discriminator_activation, generator_activation: relu, leaky_relu, elu or tanh.
        discriminator_dropout_rate, generator_dropout_rate: None: no dropout.
        discriminator_learning_rate, generator_learning_rate: step sizes.
        generator_initial_dense_layer_size: height, width and channels of the generator's first features.
        generator_upsample: by how much each layer repeats its pixels first.
        optimiser: rmsprop or adam.
        z_dim: size of z.

    Raises:
        UserError: the lists do not fit one another, or the generator's images are of another size than `input_dim`.
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int],
        discriminator_conv_filters: Sequence[int],
        discriminator_conv_kernel_size: Sequence[int],
        discriminator_conv_strides: Sequence[int],
        discriminator_batch_norm_momentum: float | None,
        discriminator_activation: str,
        discriminator_dropout_rate: float | None,
        discriminator_learning_rate: float,
        generator_initial_dense_layer_size: tuple[int, int, int],
        generator_upsample: Sequence[int],
        generator_conv_filters: Sequence[int],
        generator_conv_kernel_size: Sequence[int],
        generator_conv_strides: Sequence[int],
        generator_batch_norm_momentum: float | None,
        generator_activation: str,
        generator_dropout_rate: float | None,
        generator_learning_rate: float,
        optimiser: str,
        z_dim: int,
    ) -> None:
        super().__init__()
        same_lengths(
            discriminator_conv_filters=discriminator_conv_filters,
            discriminator_conv_kernel_size=discriminator_conv_kernel_size,
            discriminator_conv_strides=discriminator_conv_strides,
        )
        same_lengths(
            generator_conv_filters=generator_conv_filters,
            generator_conv_kernel_size=generator_conv_kernel_size,
            generator_conv_strides=generator_conv_strides,
            generator_upsample=generator_upsample,
        )
        self.z_dim = z_dim
        self.discriminator = discriminator(
            input_dim,
            discriminator_conv_filters,
            discriminator_conv_kernel_size,
            discriminator_conv_strides,
            discriminator_batch_norm_momentum,
            discriminator_activation,
            discriminator_dropout_rate,
        )
        self.generator = generator(
            z_dim,
            generator_initial_dense_layer_size,
            generator_upsample,
            generator_conv_filters,
            generator_conv_kernel_size,
            generator_conv_strides,
            generator_batch_norm_momentum,
            generator_activation,
            generator_dropout_rate,
        )
        self.apply(_draw_weights)
        self.optimizers = {
            "discriminator": _optimizer(optimiser, self.discriminator, discriminator_learning_rate),
            "generator": _optimizer(optimiser, self.generator, generator_learning_rate),
        }
        made = tuple(self.eval().generate(torch.zeros(1, z_dim)).shape[1:])
        if made != tuple(input_dim):
            raise UserError(f"The generator makes images of {made}, but input_dim is {tuple(input_dim)}.")
        self.train()

    def generate(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b h w c"]:
        """Images of latents, without gradients."""
        with torch.no_grad():
            return self.generator(z).float().permute(0, 2, 3, 1)

    def predict(self, images: Float[Tensor, "b h w c"]) -> Float[Tensor, " b"]:
        """The discriminator's probability that each image is real, without gradients."""
        with torch.no_grad():
            return torch.sigmoid(self._logits(images.permute(0, 3, 1, 2)))[:, 0]

    def noise(self, count: int) -> Float[Tensor, "b z"]:
        """Latents from the standard normal distribution, from torch's global generator."""
        return torch.randn(count, self.z_dim, device=next(self.parameters()).device)

    def _logits(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1"]:
        return self.discriminator(images).float()

    def train_discriminator(self, images: Float[Tensor, "b h w c"]) -> dict[str, Tensor]:
        """A step on real images towards label 1, then a step on as many fakes towards label 0."""
        real = self._logits(images.permute(0, 3, 1, 2))
        loss_real = cross_entropy(real, 1)
        learn(self.optimizers["discriminator"], loss_real)
        with torch.no_grad():
            fakes = self.generator(self.noise(len(images)))
        fake = self._logits(fakes)
        loss_fake = cross_entropy(fake, 0)
        learn(self.optimizers["discriminator"], loss_fake)
        return {
            "loss_discriminator": 0.5 * (loss_real + loss_fake).detach(),
            "accuracy_real": (real > 0).float().mean(),
            "accuracy_fake": (fake <= 0).float().mean(),
        }

    def train_generator(self, count: int) -> dict[str, Tensor]:
        """A step on `count` fakes towards label 1, through the frozen discriminator."""
        with frozen(self.discriminator):
            loss = cross_entropy(self._logits(self.generator(self.noise(count))), 1)
        learn(self.optimizers["generator"], loss)
        return {"loss_generator": loss.detach()}

    def training_state(self) -> dict[str, Tensor]:
        """The states of both optimisers."""
        return {
            name: tensor
            for player, optimizer in self.optimizers.items()
            for name, tensor in optimizer_tensors(optimizer, f"optimizer of {player}").items()
        }

    def load_training_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `training_state` gave."""
        for player, optimizer in self.optimizers.items():
            load_optimizer(optimizer, tensors, f"optimizer of {player}")


def _draw_weights(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(layer.weight, 0.0, WEIGHT_DEVIATION)
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


def _optimizer(name: str, player: nn.Module, rate: float) -> torch.optim.Optimizer:
    """An optimiser with the constants that Keras gives it."""
    if name == "rmsprop":
        return torch.optim.RMSprop(player.parameters(), lr=rate, alpha=0.9, eps=1e-7)
    if name == "adam":
        return torch.optim.Adam(player.parameters(), lr=rate, eps=1e-7)
    raise UserError(f"There is no optimiser {name}: the known ones are rmsprop and adam.")
