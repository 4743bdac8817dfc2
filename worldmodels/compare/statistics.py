"""Means over seeds with their uncertainty, and which of them cannot be told from the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
Better = Literal["lower", "higher", "neither"]


@dataclass(frozen=True)
class Estimate:
    """What several trainings of one model gave.

    Attributes:
        seeds: how many.
        mean: of their values.
        margin: half the width of the mean's 95 % t interval; None for a single seed.
        mark: "best", "tied" if the seeds cannot tell it from the best, or "".
    """

    seeds: int
    mean: float
    margin: float | None
    mark: str = ""


def estimates(values: Mapping[str, Sequence[float]], better: Better) -> dict[str, Estimate]:
    """An estimate of each model that has values, and the best of them marked.

    A model is tied with the best if the 95 % interval of the difference of their means (Welch's, for unequal variances)
    holds 0. Where one of the two has a single seed, nothing can be told, so it is tied as well.
    """
    found = {name: _estimate(np.array(runs, float)) for name, runs in values.items() if len(runs)}
    if better == "neither" or len(found) < 2:
        return found
    sign = 1 if better == "higher" else -1
    best = max(found, key=lambda name: sign * found[name].mean)
    marked = {}
    for name, estimate in found.items():
        mark = "best" if name == best else "tied" if _tied(values[name], values[best]) else ""
        marked[name] = Estimate(estimate.seeds, estimate.mean, estimate.margin, mark)
    return marked


def _estimate(values: np.ndarray) -> Estimate:
    count = len(values)
    if count == 1:
        return Estimate(1, float(values[0]), None)
    quantile = float(stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1))
    return Estimate(count, float(values.mean()), quantile * float(values.std(ddof=1)) / count**0.5)


def _tied(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether the two means may be the same, as far as these values tell."""
    if min(len(one), len(other)) < 2:
        return True
    variances = [float(np.var(values, ddof=1)) / len(values) for values in (one, other)]
    difference, spread = float(np.mean(one) - np.mean(other)), sum(variances)
    if spread == 0:
        return difference == 0
    # Welch and Satterthwaite's degrees of freedom
    shares = (variance**2 / (len(values) - 1) for variance, values in zip(variances, (one, other), strict=True))
    freedom = spread**2 / sum(shares)
    return abs(difference) <= float(stats.t.ppf(0.5 + CONFIDENCE / 2, freedom)) * spread**0.5
