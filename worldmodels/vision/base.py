"""What a model has to offer to be V."""

import math
from abc import abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from worldmodels.config import VisionConfig
from worldmodels.errors import UserError
from worldmodels.pictures import Frames, to_bytes
from worldmodels.registry import complete, vision_model
from worldmodels.tensors import load_tensors, load_weights, save_tensors


class Posterior(NamedTuple):
    """A diagonal Gaussian over the latent of each frame."""

    mu: Float[Tensor, "*b z"]
    logvar: Float[Tensor, "*b z"]

    def sample(self, noise: Float[Tensor, "*b z"]) -> Float[Tensor, "*b z"]:
        """mu + sigma * noise."""
        return self.mu + torch.exp(0.5 * self.logvar) * noise


SIGMA = 0.05
"""Standard deviation that a deterministic model reports: M's likelihood of a single point would have no bound."""


EXACT = -1000.0
"""Log-variance of a latent without any noise."""


def certain(mu: Float[Tensor, "b z"]) -> Posterior:
    """The posterior of a model that knows only a point: the least noise that M needs to learn from."""
    return Posterior(mu, torch.full_like(mu, 2 * math.log(SIGMA)))


class VisionModel(nn.Module):
    """The contract of V. A model owns its input range, its loss and its optimisers (adversarial ones have two).

    For play it may be moved to bfloat16 with `.to(torch.bfloat16)`; latents and frames are float32 all the same.

    Attributes:
        Config: the dataclass of the options that it reads.
        has_prior: whether it learns to make frames of what `prior` draws.
        keeps_last: keep the weights of the last validation rather than those with the lowest validation loss, for
            models whose loss does not say how good they are.
        config: the options that it was built from.
        encodes: whether it can encode, and so be V in an agent.
        levels: into how many values, evenly from -1 to 1, each latent dimension is quantised; None if it is continuous.
    """

    Config: ClassVar[type[VisionConfig]] = VisionConfig
    has_prior: ClassVar[bool] = True
    keeps_last: ClassVar[bool] = False

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.encodes = True
        self.levels: int | None = None

    @property
    def learners(self) -> Collection[torch.optim.Optimizer]:
        """The optimisers, for their step sizes to fall; a model that names none has `final_learning_rate` refused."""
        return ()

    @property
    def latent_dim(self) -> int:
        """Size of z."""
        return self.config.latent_dim

    @abstractmethod
    def encode(self, frames: UInt8[Tensor, "b 64 64 3"]) -> Posterior:
        """The latents of frames; UserError if the model has no encoder."""

    @abstractmethod
    def decode(self, z: Float[Tensor, "b z"]) -> Float[Tensor, "b 64 64 3"]:
        """Frames in 0..1 of latents."""

    def prior(self, count: int, seed: int) -> Float[Tensor, "{count} z"]:
        """Latents of which `decode` makes new frames, on the CPU: standard normal unless a model says otherwise."""
        return torch.randn(count, self.latent_dim, generator=torch.Generator().manual_seed(seed))

    @abstractmethod
    def training_step(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """One step of learning, with randomness from `seed` only. Returns scalar metrics, `loss` among them."""

    @abstractmethod
    def validate(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """The same metrics on held-out frames, without learning; `loss` decides which weights are kept."""

    @abstractmethod
    def training_state(self) -> dict[str, Tensor]:
        """What `training_step` needs, beside the weights, to go on (optimisers)."""

    @abstractmethod
    def load_training_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `training_state` gave."""


def build_vision(config: VisionConfig) -> VisionModel:
    """A new model of the registered name `config.model`, its weights drawn from torch's global generator.

    Raises UserError with the known names for one that is neither registered nor an entry point.
    """
    model: VisionModel = vision_model(config.model)(complete(config))
    return model


def save_vision(path: Path, model: VisionModel, **metadata: Any) -> None:
    """Write a model's weights; its options are kept by whoever keeps the file."""
    save_tensors(path, model.state_dict(), model=model.config.model, **metadata)


def load_vision(path: Path, config: VisionConfig) -> VisionModel:
    """A model in evaluation mode from its weights; UserError if they are damaged or of another model or size."""
    tensors, metadata = load_tensors(path)
    if metadata.get("model") != config.model:
        raise UserError(f"{path} holds a vision model {metadata.get('model')}, not {config.model}.")
    model = build_vision(config)
    load_weights(model, tensors, path)
    return model.eval()


@torch.inference_mode()
def picture(vision: VisionModel, z: Float[Tensor, "b z"]) -> Frames:
    """What V decodes latents to, uint8 (B, 64, 64, 3)."""
    return to_bytes(vision.decode(z).float().numpy())
