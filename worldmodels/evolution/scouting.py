"""Scouting: candidates are tried where the distribution's mean fails, for where all do well nobody is better.

A relative: prioritised replay of levels (Jiang, Grefenstette & Rocktaeschel 2021), which replays those that were hard
for a learner before. Here they are looked for anew ahead of every generation, so that no few are learned by heart.
"""

import numpy as np
from numpy.typing import NDArray

from worldmodels.config import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution.race import Play


def check_scouts(name: str, config: ControllerConfig) -> None:
    """Raise UserError if a controller's scouts find too few episodes, or none of them would be played."""
    most = max([config.rollouts, *(episodes for _, episodes in config.rollouts_schedule)])
    for _, scouts in config.scouts:
        if scouts and not 1 <= most // 2 <= scouts:
            raise UserError(
                f"controllers.{name}.scouts: half of a candidate's episodes are to be the worst of {scouts}, "
                f"but a generation plays {most}: ask for half as many scouts at least, and for 2 episodes at least."
            )


def with_hard_seeds(
    play: Play, mean: NDArray[np.float32], seeds: NDArray[np.int64], scouts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Seeds (K,) of which every other one is now one of the scouts' (S,), those on which the mean (P,) earns least.

    Also the mean's returns (S,) on the scouts' seeds, and the steps that it took to play them. Needs S >= K // 2.
    """
    outcomes = play(mean[None], scouts)
    mixed = seeds.copy()
    mixed[1::2] = scouts[np.argsort(outcomes.returns[0], kind="stable")][: len(seeds) // 2]
    return mixed, outcomes.returns[0], int(outcomes.lengths.sum())
