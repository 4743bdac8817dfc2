"""Models that learn by one optimiser on one loss: all but the adversarial ones."""

from abc import abstractmethod
from collections.abc import Collection, Mapping

import torch
from jaxtyping import UInt8
from torch import Tensor

from worldmodels.tensors import load_optimizer, optimizer_tensors
from worldmodels.vision.base import VisionModel


class SingleLossModel(VisionModel):
    """A V that only has to say what its loss is.

    Attributes:
        optimizer: made by the model, over the parameters that learn.
    """

    optimizer: torch.optim.Optimizer

    @property
    def learners(self) -> Collection[torch.optim.Optimizer]:
        """The one optimiser."""
        return (self.optimizer,)

    @abstractmethod
    def loss(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """Metrics averaged over frames; `loss` is what is minimised. All randomness comes from `seed`."""

    def training_step(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """One step of the optimiser on a batch."""
        metrics = self.loss(frames, seed)
        self.optimizer.zero_grad()
        metrics["loss"].backward()
        self.optimizer.step()
        return {name: value.detach() for name, value in metrics.items()}

    @torch.no_grad()
    def validate(self, frames: UInt8[Tensor, "b 64 64 3"], seed: int) -> dict[str, Tensor]:
        """The same metrics without learning."""
        return self.loss(frames, seed)

    def training_state(self) -> dict[str, Tensor]:
        """The optimiser's moments."""
        return optimizer_tensors(self.optimizer)

    def load_training_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back the optimiser's moments."""
        load_optimizer(self.optimizer, tensors)
