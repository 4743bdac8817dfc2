"""How much of a frame V keeps, and how much of the small things in it."""

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodels.vision.base import VisionModel

BATCH = 100


CPU = torch.device("cpu")


@torch.inference_mode()
def decoded(vision: VisionModel, z: NDArray[np.float32], device: torch.device = CPU) -> NDArray[np.float32]:
    """Frames (N, 64, 64, 3) in 0..1 of latents (N, Z), by a V that is on a device."""
    return torch.cat([vision.decode(batch.to(device)).cpu() for batch in torch.from_numpy(z).split(BATCH)]).numpy()


def squared_error(
    pictures: NDArray[np.float32], frames: NDArray[np.uint8], masks: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Mean squared error of a pixel's channels, which lie in 0..1: over whole frames, and apart where masks say so.

    Args:
        pictures: (N, 64, 64, 3) in 0..1.
        frames: what they should be.
        masks: bool (N, 64, 64), pixels of small objects.

    Returns:
        `frame`, and with masks that mark anything `objects` and `elsewhere`.
    """
    error = np.square(pictures - frames.astype(np.float32) / 255).mean(3)  # (N, 64, 64)
    found = {"frame": float(error.mean())}
    if masks is not None and masks.any():
        found |= {"objects": float(error[masks].mean()), "elsewhere": float(error[~masks].mean())}
    return found
