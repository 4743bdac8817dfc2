"""What the returns of an agent's episodes come to, with honest spreads."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodels.seeds import stream

RESAMPLES = 10_000
AT_ONCE = 10_000_000
"""Numbers that are drawn at once, so that memory does not grow with the episodes."""


def statistics(returns: NDArray[np.float64]) -> dict[str, Any]:
    """Mean, standard deviation, standard error, bootstrap interval and interquartile mean of returns (K,)."""
    count = len(returns)
    std = float(returns.std(ddof=1)) if count > 1 else 0.0
    low, high = np.percentile(_resampled_means(returns), [2.5, 97.5])
    return {
        "episodes": count,
        "mean": float(returns.mean()),
        "std": std,
        "sem": std / np.sqrt(count),
        "interval": (float(low), float(high)),
        "iqm": interquartile_mean(returns),
    }


def _resampled_means(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    random, rows = stream(1, "evaluate/bootstrap"), max(1, AT_ONCE // len(returns))
    sizes = np.diff([*range(0, RESAMPLES, rows), RESAMPLES])
    return np.concatenate([random.choice(returns, (size, len(returns))).mean(1) for size in sizes])


def interquartile_mean(values: NDArray[np.float64]) -> float:
    """Mean of the middle half; values on the quarter marks count in part."""
    edges = np.arange(len(values) + 1) / len(values)
    weights = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0, None)
    return float((np.sort(values) * weights).sum() / weights.sum())
