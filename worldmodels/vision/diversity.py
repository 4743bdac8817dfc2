"""How varied the frames are that a model makes up, beside real ones: what mode collapse takes away first."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

NEIGHBOURS = 5
"""k: how far a frame's neighbourhood reaches, in neighbours."""
SIDE = 16
"""Images are compared at this size: what they show counts, not their grain."""


def diversity(real: Float[Tensor, "n c h w"], fake: Float[Tensor, "m c h w"]) -> dict[str, Tensor]:
    """Measures of variety of made images beside as many real ones; none if a batch is too small to say.

    - `spread`: their mean pairwise distance over that of the real ones; near 0 all are the same picture.
    - `recall`: the share of real images that lie nearer to a made one than that one's k-th neighbour (Kynkäänniemi et
      al. 2019). A few stray samples raise it.
    - `coverage`: the share of real images that have a made one nearer than their own k-th neighbour (Naeem et al.
      2020). Stray samples do not raise it.
    """
    k = min(NEIGHBOURS, len(real) - 1, len(fake) - 1)
    if k < 1:
        return {}
    a, b = small(real), small(fake)
    within_real, within_fake, across = torch.cdist(a, a), torch.cdist(b, b), torch.cdist(a, b)
    reach_real = within_real.kthvalue(k + 1, dim=1).values  # the nearest of all is the image itself
    reach_fake = within_fake.kthvalue(k + 1, dim=1).values
    return {
        "spread": mean_distance(within_fake) / mean_distance(within_real).clamp(min=1e-9),
        "recall": (across <= reach_fake).any(1).float().mean(),
        "coverage": (across.amin(1) <= reach_real).float().mean(),
    }


def small(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
    """The numbers in which images are compared."""
    return F.adaptive_avg_pool2d(images.float(), SIDE).flatten(1)


def mean_distance(distances: Float[Tensor, "n n"]) -> Float[Tensor, ""]:
    """Mean over all pairs of different images."""
    return distances.sum() / (len(distances) * (len(distances) - 1))
