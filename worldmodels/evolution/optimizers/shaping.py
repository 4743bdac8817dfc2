"""Fitness shaping: what counts is only how candidates rank."""

import numpy as np

from worldmodels.evolution.optimizers.base import Vector


def centred_ranks(fitness: Vector) -> Vector:
    """Utilities (N,) of fitnesses (N,): from -0.5 of the worst evenly to 0.5 of the best; ties share their mean.

    Wierstra et al. (2014), as Salimans et al. (2017) use it. They sum to zero; equal fitnesses are worth 0 each.
    """
    _, value, counts = np.unique(fitness, return_inverse=True, return_counts=True)
    ranks = counts.cumsum() - (counts + 1) / 2  # of each distinct value, from 0
    return ranks[value] / (len(fitness) - 1) - 0.5
