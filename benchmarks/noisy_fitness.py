"""Which optimiser makes headway against luck? A quadratic of C's size with as much noise as one asks for.

Of 867 parameters most matter little (a weight falls with the square root of its rank); a candidate's fitness is
its value plus normal noise. Around the first mean, candidates of sigma 0.1 differ by about 0.25 without noise. Prints
the share of the first mean's loss that is left in the distribution's mean after a quarter, half, three quarters and all
of the generations, averaged over seeds: above 1, luck has led it astray.

    python benchmarks/noisy_fitness.py [--noise 0 1 5] [--generations 200] [--seeds 2]
"""

import argparse

import numpy as np
from numpy.typing import NDArray

from worldmodels.evolution.optimizers import OPTIMIZERS
from worldmodels.seeds import stream

PARAMETERS, POPULATION, SIGMA0 = 867, 64, 0.1


def loss_left(name: str, noise: float, generations: int, seed: int) -> list[float]:
    """Shares of the first loss that are left, at four times."""
    random = stream(1, "benchmark/problem")
    weight = random.permutation(np.minimum(1, 3 / np.sqrt(np.arange(1, PARAMETERS + 1))))
    best = 0.3 * random.standard_normal(PARAMETERS)

    def value(candidates: NDArray[np.float32]) -> NDArray[np.float64]:
        return -np.square(weight * (candidates - best)).sum(-1)

    luck = stream(seed, "benchmark/luck")
    optimizer = OPTIMIZERS[name](PARAMETERS, POPULATION, SIGMA0, seed)
    losses = [-float(value(optimizer.mean))]
    for _ in range(generations):
        fitness = value(optimizer.ask()) + noise * luck.standard_normal(POPULATION)
        optimizer.tell(fitness)
        losses.append(-float(value(optimizer.mean)))
    return [losses[generations * quarter // 4] / losses[0] for quarter in (1, 2, 3, 4)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optimizers", nargs="+", choices=list(OPTIMIZERS), default=list(OPTIMIZERS))
    parser.add_argument("--noise", nargs="+", type=float, default=[0.0, 1.0, 5.0])
    parser.add_argument("--generations", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    for noise in options.noise:
        for name in options.optimizers:
            runs = [loss_left(name, noise, options.generations, seed) for seed in range(1, options.seeds + 1)]
            means = "  ".join(f"{mean:.3f}" for mean in np.mean(runs, 0))
            print(f"noise {noise:3g}  {name:8}  {means}", flush=True)


if __name__ == "__main__":
    main()
