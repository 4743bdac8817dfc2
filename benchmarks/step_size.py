"""Which step size? What one generation of CMA-ES around a finished C brings, at several of them.

For each step size an optimiser begins at the agent's C, in the world in which that was evolved and with its options.
The first generation's candidates play, and the mean that it leads to is then compared with C on other episodes, the
same for both. Steps that are too small leave candidates that only luck tells apart (reliability near 0: Cronbach's
alpha of their returns), so nothing is learned; those that are too large leave candidates that are all bad.

    python benchmarks/step_size.py --agent checkpoints/take_cover --sigmas 0.05 0.1 0.2 0.3 0.4 0.6
    python benchmarks/step_size.py --agent checkpoints/car_racing --sigmas 0.01 0.02 0.05 --rollouts 8 --episodes 64
"""

import argparse
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldmodels.agent import Agent, agent_at
from worldmodels.config import ComputeConfig
from worldmodels.dream.guards import Guards
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.evolution.optimizers import OPTIMIZERS
from worldmodels.evolution.reliability import reliability
from worldmodels.play import Cuts
from worldmodels.returns import statistics
from worldmodels.seeds import training_seeds


class Step(NamedTuple):
    """One generation: its candidates' mean return, their returns' reliability, and the mean (P,) that it leads to.

    The reliability is NaN where it cannot be told, as of one episode each.
    """

    earned: float
    reliability: float
    mean: NDArray[np.float32]


def seeds(name: str, number: int, count: int) -> NDArray[np.int64]:
    """Training seeds of this benchmark."""
    return np.array(training_seeds(1, f"benchmark/step size/{name}", number, count))


def step(agent: Agent, fitness: Fitness, sigma: float, number: int, population: int, rollouts: int) -> Step:
    """The first generation of one of several evolutions with a step size."""
    config = agent.config
    optimizer = OPTIMIZERS[config.optimizer](len(agent.parameters), population, sigma, number, agent.parameters)
    cuts = Cuts(config.patience, config.max_steps)
    returns = fitness.evaluate(optimizer.ask(), seeds("tried", number, rollouts), config.world, cuts).returns
    optimizer.tell(returns.mean(1))
    told = reliability(returns)
    return Step(float(returns.mean()), math.nan if told is None else told, optimizer.mean)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", type=Path, default=Path("checkpoints/take_cover"))
    parser.add_argument("--sigmas", nargs="+", type=float, default=[0.05, 0.1, 0.2, 0.3, 0.4, 0.6])
    parser.add_argument("--population", type=int, default=64)
    parser.add_argument("--rollouts", type=int, default=16)
    parser.add_argument("--generations", type=int, default=4, help="first generations of each step size")
    parser.add_argument("--episodes", type=int, default=256, help="on which what they lead to is compared with C")
    parser.add_argument("--workers", type=int, default=-1)
    options = parser.parse_args()
    agent = agent_at(options.agent)
    config = agent.config
    compute, guards = ComputeConfig(workers=options.workers), Guards(ends=config.ends)
    worlds = Worlds(agent, compute, config.temperature, start=config.start, guards=guards)
    size = np.sqrt(np.square(agent.parameters).mean())
    print(f"{len(agent.parameters)} parameters of size {size:.3f} (root mean square), tried in: {config.world}")
    with Fitness(worlds) as fitness:
        numbers = range(options.generations)
        steps = [
            [step(agent, fitness, sigma, number, options.population, options.rollouts) for number in numbers]
            for sigma in options.sigmas
        ]
        players = [agent.parameters, *(one.mean for row in steps for one in row)]
        cuts = Cuts(config.patience, config.max_steps)
        compared = fitness.evaluate(np.stack(players), seeds("compared", 0, options.episodes), config.world, cuts)
    own, others = compared.returns[0], compared.returns[1:].reshape(len(steps), len(numbers), -1)
    print(f"C: {own.mean():.1f} +- {own.std():.1f} over {options.episodes} episodes")
    print("sigma  candidates  reliability    gain of the mean, 95 % interval over episodes")
    for sigma, row, returns in zip(options.sigmas, steps, others, strict=True):
        gain = statistics(returns.mean(0) - own)
        low, high = gain["interval"]
        print(
            f"{sigma:5g}  {np.mean([one.earned for one in row]):10.1f}  "
            f"{np.mean([one.reliability for one in row]):11.2f}  {gain['mean']:10.1f}  {low:.1f} to {high:.1f}"
        )


if __name__ == "__main__":
    main()
