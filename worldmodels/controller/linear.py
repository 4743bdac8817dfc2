"""The paper's controller: an action is a linear function of what V sees and M remembers."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldmodels.config import ControllerConfig


@dataclass(frozen=True)
class LinearController:
    """C's form: outputs = W features + b. Its parameters are a flat vector: W row by row, then b.

    With the paper's options it has 867 parameters for CarRacing, ([z, h] + bias) x 3, and 1,088 for TakeCover, [z, c,
    h] x 1.
    """

    features: int
    actions: int
    bias: bool

    @classmethod
    def build(cls, config: ControllerConfig, latent_dim: int, hidden: int, actions: int) -> "LinearController":
        """The form that the options ask for."""
        return cls(feature_dim(config.inputs, latent_dim, hidden), actions, config.bias)

    @property
    def parameters(self) -> int:
        """Number of parameters P."""
        return (self.features + self.bias) * self.actions

    def weights(self, parameters: np.ndarray) -> tuple[Float[Tensor, "n a f"], Float[Tensor, "n a 1"]]:
        """W and b of N parameter vectors (N, P), float32."""
        flat = torch.from_numpy(np.asarray(parameters, np.float32))
        split = self.actions * self.features
        weight = flat[:, :split].unflatten(1, (self.actions, self.features))
        bias = flat[:, split:, None] if self.bias else torch.zeros(len(flat), self.actions, 1)
        return weight.contiguous(), bias.contiguous()


def outputs(
    weight: Float[Tensor, "n a f"], bias: Float[Tensor, "n a 1"], features: Float[Tensor, "n f"]
) -> Float[Tensor, "n a"]:
    """Each of N controllers' outputs for its own features: a whole population in one product."""
    return torch.linalg.vecdot(weight, features[:, None]) + bias.squeeze(2)


def feature_dim(inputs: str, latent_dim: int, hidden: int) -> int:
    """Size of what C sees; `inputs` spells it: z, zh or zch."""
    return latent_dim + hidden * (len(inputs) - 1)


def features(
    inputs: str, z: Float[Tensor, "b z"], h: Float[Tensor, "b h"], c: Float[Tensor, "b h"]
) -> Float[Tensor, "b f"]:
    """What C sees, in the order of `inputs`; h and c are M's state *before* it learns of z and of C's action."""
    return torch.cat([{"z": z, "h": h, "c": c}[name] for name in inputs], 1)
