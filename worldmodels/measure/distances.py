"""How far two sets of points are apart: kernel distance, precision and recall."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Points = NDArray[np.float64]


def kernel_distance(real: Points, fake: Points) -> float:
    """Squared maximum mean discrepancy of points (N, K) and (M, K), without bias; Inception's features make it the KID.

    The kernel is k(x, y) = (x y / K + 1)^3 (Binkowski et al. 2018, "Demystifying MMD GANs"). Two samples of one
    distribution have 0 on average, so single values may be negative.
    """
    within_real, within_fake = _mean_kernel_within(real), _mean_kernel_within(fake)
    return within_real + within_fake - 2 * float(_kernel(real, fake).mean())


def _kernel(x: Points, y: Points) -> Points:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_kernel_within(x: Points) -> float:
    """Average kernel of pairs of different points."""
    kernel = _kernel(x, x)
    return float((kernel.sum() - np.trace(kernel)) / (len(x) * (len(x) - 1)))


class Manifolds(NamedTuple):
    """Shares of samples that lie within the other set's manifold.

    Attributes:
        precision: of the fake ones: how many look real.
        recall: of the real ones: how many can be made.
    """

    precision: float
    recall: float


def precision_recall(real: Points, fake: Points, neighbours: int) -> Manifolds:
    """Improved precision and recall of points (N, K) and (M, K) (Kynkaanniemi et al. 2019).

    A set's manifold is the union of balls around its points, each as wide as the distance to its k-th neighbour.
    Both depend on the sizes of the sets: compare only values of equal sizes.
    """
    x, y = torch.from_numpy(real), torch.from_numpy(fake)
    apart = torch.cdist(x, y)
    precision = (apart <= _radii(x, neighbours)[:, None]).any(0)
    recall = (apart <= _radii(y, neighbours)[None]).any(1)
    return Manifolds(float(precision.double().mean()), float(recall.double().mean()))


def _radii(points: Tensor, neighbours: int) -> Tensor:
    """Distance of each point to its k-th neighbour."""
    rank = min(neighbours + 1, len(points))  # the nearest is the point itself
    return torch.cdist(points, points).kthvalue(rank, 1).values
