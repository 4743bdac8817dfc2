"""What the returns of an agent's episodes come to, with honest spreads."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodels.seeds import stream

RESAMPLES = 10_000


def statistics(returns: NDArray[np.float64]) -> dict[str, Any]:
    """Mean, standard deviation, standard error, bootstrap interval and interquartile mean of returns (K,)."""
    count = len(returns)
    std = float(returns.std(ddof=1)) if count > 1 else 0.0
    resampled = stream(1, "evaluate/bootstrap").choice(returns, (RESAMPLES, count)).mean(1)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {
        "episodes": count,
        "mean": float(returns.mean()),
        "std": std,
        "sem": std / np.sqrt(count),
        "interval": (float(low), float(high)),
        "iqm": interquartile_mean(returns),
    }


def interquartile_mean(values: NDArray[np.float64]) -> float:
    """Mean of the middle half; values on the quarter marks count in part."""
    edges = np.arange(len(values) + 1) / len(values)
    weights = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0, None)
    return float((np.sort(values) * weights).sum() / weights.sum())
