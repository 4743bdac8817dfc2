"""Step sizes that fall while a network learns."""

import math


def cosine_decay(first: float, final: float, done: float) -> float:
    """The step size when the share `done` (0..1) of a training is over: half a cosine wave from first to final
    (Loshchilov & Hutter 2017, equation 5, without restarts)."""
    return final + (first - final) * 0.5 * (1 + math.cos(math.pi * done))
