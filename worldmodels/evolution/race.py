"""Racing: a candidate that a few episodes show to be bad plays no more of them (Maron & Moore 1997, with ranks in place
of their bounds)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldmodels.config import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution.reliability import reliability
from worldmodels.play import Outcomes

Play = Callable[[NDArray[np.float32], NDArray[np.int64]], Outcomes]
"""Candidates (N, P) on all seeds (K,); every field of the outcomes is (N, K)."""


class Raced(NamedTuple):
    """Fitness (N,) of the candidates, the steps that it took, and how reliable the returns that all have are."""

    fitness: NDArray[np.float64]
    steps: int
    reliability: float | None


def check_heat(name: str, config: ControllerConfig) -> None:
    """Raise UserError if a controller's heat leaves no episode for those who come through it."""
    fewest = min([config.rollouts, *(episodes for _, episodes in config.rollouts_schedule)])
    if config.heat >= fewest:
        raise UserError(
            f"controllers.{name}.heat: the better half is to play more than the {config.heat} episodes of the heat, "
            f"but a generation plays {fewest} in all."
        )


def race(play: Play, candidates: NDArray[np.float32], seeds: NDArray[np.int64], heat: int) -> Raced:
    """Let candidates (N, P) play.

    All candidates play the first `heat` of the seeds (K,), and the better half of them the others too. A fitness is the
    mean return over what a candidate has played; those of the worse half are lowered together until none is above the
    better half's, so that luck in few episodes ranks nobody before those who have played all. With a heat of 0 there is
    no race: all play all.
    """
    first = play(candidates, seeds[:heat] if heat else seeds)
    fitness, steps = first.returns.mean(1), int(first.lengths.sum())
    if heat:
        worse, better = np.split(np.argsort(fitness, kind="stable"), [len(fitness) // 2])
        better.sort()
        rest = play(candidates[better], seeds[heat:])
        fitness[better] = np.hstack([first.returns[better], rest.returns]).mean(1)
        fitness[worse] -= max(0.0, fitness[worse].max() - fitness[better].min())
        steps += int(rest.lengths.sum())
    return Raced(fitness, steps, reliability(first.returns))
