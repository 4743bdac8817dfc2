"""Whether candidates can be told apart: how much of what they differ by is more than luck in their episodes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

WINDOW = 5
"""So many generations are looked at together."""
LITTLE = 0.2
"""Below this reliability selection is mostly luck."""
CONFIDENCE = 0.95
"""How sure that is to be before it is said."""


def reliability(returns: NDArray[np.float64]) -> float | None:
    """How reliable the mean returns of candidates are: Cronbach's alpha of their returns (N, K) in the same K episodes.

    The share of the variance among the N means that K other episodes would show too: 1 if luck plays no part, about 0
    if candidates differ by nothing else; chance brings it below 0. What makes an episode hard for all of them is left
    out of it. None for fewer than two candidates or episodes, and where nobody differs from anybody.
    """
    count, episodes = returns.shape
    if min(count, episodes) < 2:
        return None
    centred = returns - returns.mean(0)
    means = centred.mean(1)
    among = episodes * np.square(means).sum() / (count - 1)
    within = np.square(centred - means[:, None]).sum() / ((count - 1) * (episodes - 1))
    return float(1 - within / among) if among > 0 else None


def is_luck(reliabilities: Sequence[float | None], candidates: int, episodes: int) -> bool:
    """Whether the last generations' reliabilities show that candidates differ by little more than luck.

    Where they differ by nothing else, 1 - reliability is one over an F statistic of N - 1 and (N - 1) (K - 1) degrees
    of freedom, whose spread falls with the number N of candidates. False before there are enough generations to say.
    """
    known = [value for value in reliabilities[-WINDOW:] if value is not None]
    if len(known) < WINDOW:
        return False
    spread = np.sqrt(2 / (candidates - 1) * episodes / (episodes - 1) / WINDOW)
    return bool(np.mean(known) + norm.ppf(CONFIDENCE) * spread < LITTLE)
