"""What weighed ends save: the noise of dreams' returns, beside dreams whose ends are drawn, on the same starts.

An agent's C, and controllers at the step size with which evolution begins, dream with ends drawn and with ends weighed.
Both have the same mean. What the noise costs is the variance of a return times the steps of a dream: so many steps does
a mean of a given precision take. The last column is that of drawn ends divided by that of weighed ones.

    python benchmarks/weighed_ends.py [--checkpoint checkpoints/take_cover] [--dreams 512] [--temperature 1.0]
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldmodels.agent import load_agent
from worldmodels.cli import guarded
from worldmodels.config import ComputeConfig
from worldmodels.dream import Guards
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.seeds import training_seeds

RANDOM = 4
"""Controllers drawn at random."""


def measure(options: argparse.Namespace) -> None:
    """Print the table."""
    agent = load_agent(options.checkpoint)
    random = np.random.default_rng(0).normal(0, agent.config.sigma0, (RANDOM, agent.form.parameters))
    candidates = np.concatenate([agent.parameters[None], random]).astype(np.float32)
    seeds = np.array(training_seeds(0, "weighed ends", 0, options.dreams))
    costs: dict[str, NDArray[np.float64]] = {}
    print("| ends | controller | mean return | its standard deviation | steps | drawn / weighed |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for ends in ("drawn", "weighed"):
        worlds = Worlds(agent, ComputeConfig(workers=options.workers), options.temperature, guards=Guards(ends=ends))
        with Fitness(worlds) as fitness:
            outcomes = fitness.evaluate(candidates, seeds, "dream")
        means, deviations, steps = outcomes.returns.mean(1), outcomes.returns.std(1), outcomes.lengths.mean(1)
        costs[ends] = deviations**2 * steps
        saved = costs["drawn"] / costs[ends]
        names = ["the agent's", *(f"random {number}" for number in range(RANDOM))]
        for row in zip(names, means, deviations, steps, saved, strict=True):
            print("| {} | {} | {:.1f} | {:.1f} | {:.0f} | {:.1f} |".format(ends, *row))


def main() -> None:
    """Parse the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/take_cover"))
    parser.add_argument("--dreams", type=int, default=512, help="dreams of each controller")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--workers", type=int, default=-1)
    options = parser.parse_args()
    guarded(lambda: measure(options))


if __name__ == "__main__":
    main()
