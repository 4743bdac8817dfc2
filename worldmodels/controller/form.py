"""The paper's controller: an action is a linear function of what V sees and M remembers; or one with a hidden layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from worldmodels.config import ControllerConfig

Layer = tuple[Tensor, Tensor]
"""W (N, outputs, inputs) and b (N, outputs) of N controllers."""


@dataclass(frozen=True)
class ControllerForm:
    """C's form: outputs = W features + b, or W tanh(W' features + b') + b with a hidden layer.

    Its parameters are a flat vector: layer by layer, W row by row, then b. With the paper's options it has 867
    parameters for CarRacing, ([z, h] + bias) x 3, and 1,088 for TakeCover, [z, c, h] x 1.

    Attributes:
        features: size of what C sees.
        actions: number of its outputs.
        bias: whether layers have constant terms.
        hidden: units of the hidden layer, 0 for none.
    """

    features: int
    actions: int
    bias: bool
    hidden: int = 0

    @classmethod
    def build(cls, config: ControllerConfig, latent_dim: int, memory: int, actions: int) -> "ControllerForm":
        """The form that the options ask for, with an M of `memory` units."""
        return cls(feature_dim(config.inputs, latent_dim, memory), actions, config.bias, config.hidden)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Inputs and outputs of every layer."""
        widths = [self.features, *([self.hidden] if self.hidden else []), self.actions]
        return list(pairwise(widths))

    @property
    def parameters(self) -> int:
        """Number of parameters P."""
        return sum((seen + self.bias) * made for seen, made in self.sizes)

    def layers(self, parameters: np.ndarray) -> list[Layer]:
        """The layers of N parameter vectors (N, P), float32."""
        flat = torch.from_numpy(np.asarray(parameters, np.float32))
        split, first = [], 0
        for seen, made in self.sizes:
            weight = flat[:, first : first + made * seen].unflatten(1, (made, seen))
            first += made * seen
            bias = flat[:, first : first + made] if self.bias else torch.zeros(len(flat), made)
            first += made * self.bias
            split.append((weight.contiguous(), bias.contiguous()))
        return split


def outputs(layers: Sequence[Layer], features: Float[Tensor, "n f"]) -> Float[Tensor, "n a"]:
    """Each of N controllers' outputs for its own features: a whole population in one product a layer."""
    for number, (weight, bias) in enumerate(layers):
        seen = features.tanh() if number else features
        features = torch.linalg.vecdot(weight, seen[:, None]) + bias
    return features


def feature_dim(inputs: str, latent_dim: int, memory: int) -> int:
    """Size of what C sees; `inputs` spells it: z, zh or zch."""
    return latent_dim + memory * (len(inputs) - 1)


def features(
    inputs: str, z: Float[Tensor, "b z"], h: Float[Tensor, "b h"], c: Float[Tensor, "b h"]
) -> Float[Tensor, "b f"]:
    """What C sees, in the order of `inputs`; h and c are M's state *before* it learns of z and of C's action."""
    return torch.cat([{"z": z, "h": h, "c": c}[name] for name in inputs], 1)
