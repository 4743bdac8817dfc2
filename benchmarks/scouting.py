"""Does it pay to let the mean scout for hard episodes? What CMA-ES gains in choosing among candidates around a good C.

Candidates around a checkpoint's C, and this C, all play the same real tracks, two thirds of which are drawn to select
on. In the one plan candidates play random ones; in the others the mean plays some ahead, and those on which it does
worst are half of what the candidates play. The gain, in points of the score, is measured on the tracks that are left.

    python benchmarks/scouting.py
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from racing import CANDIDATES, looking_up, numbers, selected

from worldmodels.agent import load_agent
from worldmodels.config import ComputeConfig
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.evolution.scouting import with_hard_seeds
from worldmodels.play import Cuts
from worldmodels.seeds import stream, training_seeds

PLANS = [(8, 0), (16, 0), (4, 8), (8, 8), (8, 16), (12, 16)]
"""Pairs of episodes a candidate and scouts."""


def gain(table: NDArray[np.float64], episodes: int, scouts: int, values: NDArray[np.float64]) -> float:
    """How much better than the average candidate those are, by `values` (N,), whom a plan selects.

    `table` (1 + N, K) are returns on tracks in the order in which they are drawn, the mean's before the candidates'.
    """
    play, seeds = looking_up(table), np.arange(episodes)
    if scouts:
        seeds, _, _ = with_hard_seeds(play, numbers(1)[0], seeds, np.arange(episodes, episodes + scouts))
    fitness = play(numbers(1 + CANDIDATES)[1:], seeds).returns.mean(1)
    return selected(fitness, values)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/car_racing"))
    parser.add_argument("--sigma", type=float, default=0.014)
    parser.add_argument("--tracks", type=int, default=48)
    parser.add_argument("--samples", type=int, default=2000)
    options = parser.parse_args()
    if (selecting := options.tracks * 2 // 3) < (most := max(map(sum, PLANS))):
        parser.error(
            f"--tracks: two thirds of them are to be enough for any plan, so give at least {-(-3 * most // 2)}"
        )
    agent, random = load_agent(options.checkpoint), stream(1, "benchmark/scouts")
    steps = random.standard_normal((CANDIDATES, len(agent.parameters)))
    players = agent.parameters + options.sigma * np.concatenate([np.zeros_like(steps[:1]), steps])
    tracks = np.array(training_seeds(1, "benchmark/scouts", 0, options.tracks))
    with Fitness(Worlds(agent, ComputeConfig(lanes=96), temperature=1.0)) as fitness:
        table = fitness.evaluate(players.astype(np.float32), tracks, "real", Cuts(patience=100)).returns
    mean, others = table[0].mean(), table[1:].mean()
    print(f"{CANDIDATES} candidates, {len(tracks)} tracks: the mean {mean:.1f}, candidates {others:.1f}")
    gains = []
    for _ in range(options.samples):
        order = random.permutation(len(tracks))
        values = table[1:, order[selecting:]].mean(1)
        gains.append([gain(table[:, order], *plan, values) for plan in PLANS])
    print("episodes a candidate, scouts, episodes in all, gain:")
    for (episodes, scouts), value in zip(PLANS, np.mean(gains, 0), strict=True):
        print(f"{episodes:3} {scouts:3} {episodes * CANDIDATES + scouts:5} {value:6.2f}")


if __name__ == "__main__":
    main()
