"""Does it pay to let only the better half of the candidates play all episodes? Selection with and without a race.

CMA-ES moves its mean to a weighted mean of the better half of its candidates; what that is worth above the average
candidate is the gain of a selection. Plans that cost alike are compared: in the one, 40 candidates play six episodes;
in the others, after a heat the better half plays on.

By default candidates' values are normal and an episode's noise is so many times their spread; the gain is in spreads.
With a checkpoint, candidates of a step size around its C play real tracks, all of them the same ones; episodes are
drawn from one half of the tracks, and the gain is measured, in points of the score, on the other half.

    python benchmarks/racing.py
    python benchmarks/racing.py --checkpoint checkpoints/car_racing --sigma 0.02 --tracks 24
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldmodels.agent import load_agent
from worldmodels.config import ComputeConfig
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.evolution.race import Play, race
from worldmodels.play import Cuts, Outcomes
from worldmodels.seeds import stream, training_seeds

CANDIDATES = 40
PLANS = [(6, 0), (11, 1), (10, 2), (9, 3), (8, 4), (7, 5)]
"""Pairs of episodes and heat, all of which cost six episodes a candidate."""


def weights() -> NDArray[np.float64]:
    """What the better half of the candidates weigh in CMA-ES's new mean, the best one first (Hansen 2016)."""
    raw = np.log(CANDIDATES / 2 + 0.5) - np.log(np.arange(1, CANDIDATES // 2 + 1))
    return raw / raw.sum()


def gain(returns: NDArray[np.float64], values: NDArray[np.float64], heat: int) -> float:
    """How much better than the average candidate those are, by `values` (N,), whom a race on returns (N, K) selects."""
    raced = race(looking_up(returns), numbers(CANDIDATES), np.arange(returns.shape[1]), heat)
    return selected(raced.fitness, values)


def looking_up(returns: NDArray[np.float64]) -> Play:
    """Play by candidates' numbers and tracks' numbers, in a table of returns (N, K) that were played before."""

    def play(candidates: NDArray[np.float32], seeds: NDArray[np.int64]) -> Outcomes:
        played = returns[np.ix_(candidates[:, 0].astype(int), seeds)]
        return Outcomes(played, np.ones(played.shape, np.int64), np.zeros(played.shape, bool))

    return play


def numbers(count: int) -> NDArray[np.float32]:
    """Candidates (N, 1) that are their numbers."""
    return np.arange(count, dtype=np.float32)[:, None]


def selected(fitness: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """How much better than the average candidate the better half by fitness is, by `values` (N,)."""
    best = np.argsort(-fitness, kind="stable")[: CANDIDATES // 2]
    return float(weights() @ values[best] - values.mean())


def simulated(noise: float, samples: int = 2000) -> list[float]:
    """Gains of the plans, in standard deviations of the candidates' values, of which an episode has `noise`."""
    random = stream(1, "benchmark/race")
    gains = []
    for _ in range(samples):
        values = random.standard_normal(CANDIDATES)
        returns = values[:, None] + noise * random.standard_normal((CANDIDATES, max(PLANS)[0]))
        gains.append([gain(returns[:, :episodes], values, heat) for episodes, heat in PLANS])
    return np.mean(gains, 0).tolist()


def played(checkpoint: Path, sigma: float, tracks: int, samples: int = 2000) -> list[float]:
    """Gains of the plans, in points, among candidates around a checkpoint's C."""
    agent, random = load_agent(checkpoint), stream(1, "benchmark/race")
    steps = random.standard_normal((CANDIDATES, len(agent.parameters)))
    candidates = (agent.parameters + sigma * steps).astype(np.float32)
    seeds = np.array(training_seeds(1, "benchmark/race", 0, tracks))
    with Fitness(Worlds(agent, ComputeConfig(lanes=64), temperature=1.0)) as fitness:
        table = fitness.evaluate(candidates, seeds, "real", Cuts(patience=100)).returns
    print(f"{CANDIDATES} candidates, {tracks} tracks: {table.mean():.1f}, their means {table.mean(1).std():.1f} apart")
    gains = []
    for _ in range(samples):
        one, other = np.split(random.permutation(tracks), 2)
        values = table[:, other].mean(1)
        gains.append([gain(table[:, one[:episodes]], values, heat) for episodes, heat in PLANS])
    return np.mean(gains, 0).tolist()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noise", nargs="+", type=float, default=[16.0, 4.0, 2.0, 1.0])
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--sigma", type=float, default=0.02)
    parser.add_argument("--tracks", type=int, default=24)
    options = parser.parse_args()
    if options.tracks < (fewest := 2 * max(PLANS)[0]):
        parser.error(f"--tracks: half of them are to be enough for any plan, so give at least {fewest}")
    if options.checkpoint:
        rows = {f"sigma {options.sigma:g}": played(options.checkpoint, options.sigma, options.tracks)}
    else:
        rows = {f"noise {noise:g}": simulated(noise) for noise in options.noise}
    print(f"{'':11}" + "".join(f"{f'{episodes}, heat {heat}':>12}" for episodes, heat in PLANS))
    for name, gains in rows.items():
        print(f"{name:11}" + "".join(f"{value:12.3f}" for value in gains))


if __name__ == "__main__":
    main()
