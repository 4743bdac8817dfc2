"""What models with a discriminator have in common: two players, each with an optimiser of its own."""

import contextlib
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from pydantic import Field
from torch import Tensor, nn

from worldmodels.config import Positive, VisionConfig, Whole
from worldmodels.tensors import load_optimizer, optimizer_tensors
from worldmodels.vision.base import VisionModel
from worldmodels.vision.diversity import diversity
from worldmodels.vision.networks import ConvConfig, as_images


@dataclass(frozen=True)
class AdversarialConfig(ConvConfig):
    """Options of every model with a discriminator."""

    discriminator_rate: Positive = 1.0
    """Step size of the discriminator's optimiser, as a multiple of `learning_rate`."""


@dataclass(frozen=True)
class BatchNormConfig(AdversarialConfig):
    """Options of those models with a discriminator whose generator has batch normalisation."""

    batch: Annotated[Whole, Field(ge=2)] = 100
    """Frames a step: at least two, for there to be a variance to normalise by."""


class AdversarialModel(VisionModel):
    """A V that learns by a game between networks. Its last weights are kept: no loss of such a game says who is good.

    Attributes:
        optimizers: one a player, by name.
        taken: how many steps it has learned.
    """

    keeps_last = True

    def __init__(self, config: VisionConfig) -> None:
        super().__init__(config)
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.taken = 0

    @property
    def learners(self) -> Collection[torch.optim.Optimizer]:
        """Every player's optimiser."""
        return self.optimizers.values()

    @abstractmethod
    def play(self, images: Float[Tensor, "b 3 64 64"]) -> dict[str, Tensor]:
        """A step of every player on a batch; may draw from torch's global generator. Returns `metrics`."""

    @abstractmethod
    def metrics(self, images: Float[Tensor, "b 3 64 64"]) -> dict[str, Tensor]:
        """The losses of the players and whatever else is worth watching, on a batch."""

    def training_step(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """A step of every player on a batch."""
        images = as_images(frames, torch.float32)
        with seeded(seed, images.device):
            metrics = self.play(images)
        self.taken += 1
        return {name: value.detach() for name, value in metrics.items()}

    @torch.no_grad()
    def validate(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """The same metrics without learning, and how varied new frames are beside these."""
        images = as_images(frames, torch.float32)
        with seeded(seed, images.device):
            metrics = self.metrics(images)
        made = self.decode(self.prior(len(images), seed).to(images.device)).permute(0, 3, 1, 2)
        return metrics | diversity(images, made)

    def training_state(self) -> dict[str, Tensor]:
        """The states of all optimisers, and how many steps they took."""
        state = {"taken": torch.tensor(self.taken)}
        for name, optimizer in self.optimizers.items():
            state |= optimizer_tensors(optimizer, f"optimizer of {name}")
        return state

    def load_training_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `training_state` gave."""
        self.taken = int(tensors["taken"])
        for name, optimizer in self.optimizers.items():
            load_optimizer(optimizer, tensors, f"optimizer of {name}")


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within, torch's global random numbers, dropout's among them, are those of a seed; afterwards they go on."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Within, gradients pass through a module but do not reach its weights."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def learn(optimizer: torch.optim.Optimizer, loss: Float[Tensor, ""]) -> None:
    """One step down a loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def cross_entropy(logits: Float[Tensor, "*b"], label: int) -> Float[Tensor, ""]:
    """Binary cross-entropy in nats of a discriminator's log-odds with one label for all: 1 is real, 0 is fake."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(label)))


def verdicts(real: Float[Tensor, "*b"], fake: Float[Tensor, "*c"]) -> dict[str, Tensor]:
    """A discriminator's loss (the mean of its two halves), and how often it is right about each kind."""
    return {
        "loss_discriminator": 0.5 * (cross_entropy(real, 1) + cross_entropy(fake, 0)),
        "accuracy_real": (real > 0).float().mean(),
        "accuracy_fake": (fake <= 0).float().mean(),
    }
