"""Which optimiser makes headway against luck? A quadratic of C's size with as much noise as one asks for.

Of 867 parameters most matter little (a weight falls with the square root of its rank); an episode's return is the
candidate's value plus normal noise. Around the first mean, candidates of sigma 0.1 differ by about 0.25 without noise.
Prints the share of the first mean's loss that is left in the distribution's mean after a quarter, half, three quarters
and all of the generations, averaged over seeds: above 1, luck has led it astray. A plan is a number of candidates and
of the episodes that each of them plays.

    python benchmarks/noisy_fitness.py [--noise 0 1 5] [--generations 200] [--seeds 2]
    python benchmarks/noisy_fitness.py --optimizers cma --noise 0.3 1 --plans 40x6 80x3 120x2 240x1 --generations 100
"""

import argparse
import itertools

import numpy as np
from numpy.typing import NDArray

from worldmodels.evolution.optimizers import OPTIMIZERS
from worldmodels.seeds import stream

PARAMETERS, SIGMA0 = 867, 0.1


def plan(text: str) -> tuple[int, int]:
    """Candidates and episodes of "40x6"."""
    candidates, episodes = map(int, text.split("x"))
    return candidates, episodes


def loss_left(name: str, noise: float, population: int, episodes: int, generations: int, seed: int) -> list[float]:
    """Shares of the first loss that are left, at four times."""
    random = stream(1, "benchmark/problem")
    weight = random.permutation(np.minimum(1, 3 / np.sqrt(np.arange(1, PARAMETERS + 1))))
    best = 0.3 * random.standard_normal(PARAMETERS)

    def value(candidates: NDArray[np.float32]) -> NDArray[np.float64]:
        return -np.square(weight * (candidates - best)).sum(-1)

    luck = stream(seed, "benchmark/luck")
    optimizer = OPTIMIZERS[name](PARAMETERS, population, SIGMA0, seed)
    losses = [-float(value(optimizer.mean))]
    for _ in range(generations):
        fitness = value(optimizer.ask()) + noise / np.sqrt(episodes) * luck.standard_normal(population)
        optimizer.tell(fitness)
        losses.append(-float(value(optimizer.mean)))
    return [losses[generations * quarter // 4] / losses[0] for quarter in (1, 2, 3, 4)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optimizers", nargs="+", choices=list(OPTIMIZERS), default=list(OPTIMIZERS))
    parser.add_argument("--noise", nargs="+", type=float, default=[0.0, 1.0, 5.0])
    parser.add_argument("--plans", nargs="+", type=plan, default=[(64, 1)], metavar="CANDIDATESxEPISODES")
    parser.add_argument("--generations", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    for noise, name, (population, episodes) in itertools.product(options.noise, options.optimizers, options.plans):
        how = name, noise, population, episodes, options.generations
        runs = [loss_left(*how, seed) for seed in range(1, options.seeds + 1)]
        means = "  ".join(f"{mean:.3f}" for mean in np.mean(runs, 0))
        print(f"noise {noise:3g}  {name:8}  {population}x{episodes}  {means}", flush=True)


if __name__ == "__main__":
    main()
