"""Numbers in which sets of frames are compared: fixed random convolutions, whitened on real frames.

Inception's features, which FID and KID are usually computed in, come with a download and from photographs. Features
of an untrained network judge images of other domains at least as well (Naeem et al. 2020, "Reliable fidelity and
diversity metrics for generative models"), and they favour none of the models that they compare.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

WIDTHS = (32, 64, 128)
"""Random filters of the convolutions, 4x4 with stride 2, each followed by a leaky ReLU."""
GRID = 3
"""The last convolution's output is also averaged over so many by so many places, which tells where things are."""
SEED = 1
COMPONENTS = 64
"""Principal components of real frames that are kept."""
LEAST_VARIANCE = 1e-6
"""Components with a smaller share of the first one's variance are noise of the arithmetic."""
BATCH = 100
STATEMENT = (
    f"{COMPONENTS} whitened principal components, on real training frames, of a fixed random convolutional network: "
    f"{len(WIDTHS)} layers of {', '.join(map(str, WIDTHS))} filters (4x4, stride 2, leaky ReLU, seed {SEED}), "
    f"means and standard deviations of each over the frame, and means of the last over {GRID}x{GRID} places"
)
"""What the features are, in words."""


class RandomConvolutions:
    """An untrained network: frames to D = 1,600 numbers, the same on every machine."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(SEED)
        self.filters = []
        for inputs, outputs in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True):
            drawn = torch.randn(outputs, inputs, 4, 4, generator=generator)
            self.filters.append(drawn / drawn.flatten(1).norm(dim=1)[:, None, None, None] * 2**0.5)

    def __call__(self, frames: UInt8[Tensor, "b 64 64 3"]) -> Float[Tensor, "b d"]:
        """The numbers of frames."""
        images = frames.permute(0, 3, 1, 2).float() / 127.5 - 1
        numbers = []
        for filters in self.filters:
            images = F.leaky_relu(F.conv2d(images, filters, stride=2, padding=1), 0.2)
            numbers += [images.mean((2, 3)), images.std((2, 3))]
        return torch.cat([*numbers, F.adaptive_avg_pool2d(images, GRID).flatten(1)], 1)


class Features:
    """Random convolutions in the coordinates in which real frames have mean 0 and covariance 1.

    Args:
        real: uint8 (N, 64, 64, 3), frames that define those coordinates.
    """

    def __init__(self, real: NDArray[np.uint8]) -> None:
        self.network = RandomConvolutions()
        raw = self._raw(real)
        self.mean = raw.mean(0)
        centred = (raw - self.mean) / max(1, len(raw) - 1) ** 0.5
        _, deviations, axes = torch.linalg.svd(centred.double(), full_matrices=False)
        kept = deviations.square() > LEAST_VARIANCE * deviations[0].square().clamp(min=1e-12)
        count = min(COMPONENTS, max(1, int(kept.sum())))
        self.whiten = (axes[:count].T / deviations[:count].clamp(min=1e-6)).float()  # (D, K)

    def __call__(self, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Features (N, K) of frames (N, 64, 64, 3)."""
        return ((self._raw(frames) - self.mean) @ self.whiten).double().numpy()

    @torch.inference_mode()
    def _raw(self, frames: NDArray[np.uint8]) -> Tensor:
        return torch.cat([self.network(batch) for batch in torch.from_numpy(frames).split(BATCH)])
