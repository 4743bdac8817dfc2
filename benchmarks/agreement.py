"""Do scores agree between the game that agents learn in and the one in which they are reported, and between precisions?

Both games are played with the same test seeds by a policy of uniformly random actions, a new one every step, and, if a
run is given, by one of its agents. Episodes are paired by their seeds, so that the difference has a small standard
error. A task with one game only, such as TakeCover, gets that game's row. With `--precision` the run's agent plays the
game that it learned in twice instead, with V in float32 and in bfloat16.

    python benchmarks/agreement.py --config car_racing [--episodes 50]
    python benchmarks/agreement.py --config take_cover --episodes 200
    python benchmarks/agreement.py --run runs/demo [--name real] [--episodes 50] [--workers 2] [--precision]
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from worldmodels.agent import Agent, agent_at
from worldmodels.config import ComputeConfig, TaskConfig
from worldmodels.envs import make_game
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.options import load_config
from worldmodels.play import Outcomes, RandomPolicy, play
from worldmodels.real_world import RealWorld
from worldmodels.seeds import test_seeds
from worldmodels.workers import Pool

PRECISIONS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")


class PlayRandomly:
    """A worker's job: random episodes with some seeds."""

    def __init__(self, task: TaskConfig, score: bool, lanes: int) -> None:
        self.world = RealWorld(partial(make_game, task, score), lanes)
        self.policy = RandomPolicy(self.world.games[0].get_wrapper_attr("squash"), lanes)

    def __call__(self, seeds: NDArray[np.int64]) -> Outcomes:
        """How they went."""
        return play(self.world, self.policy, seeds)

    def close(self) -> None:
        """Close the games."""
        self.world.close()


def random_returns(task: TaskConfig, score: bool, seeds: NDArray[np.int64], compute: ComputeConfig) -> NDArray:
    """Returns (K,) of the random policy."""
    with Pool(partial(PlayRandomly, task, score, lanes=1), compute) as pool:
        return Outcomes.join(list(pool.map(np.array_split(seeds, len(seeds))))).returns


def agent_returns(agent: Agent, score: bool, seeds: NDArray[np.int64], compute: ComputeConfig) -> NDArray:
    """Returns (K,) of an agent."""
    with Fitness(Worlds(agent, compute, temperature=1.0, score=score)) as fitness:
        return fitness.evaluate(agent.parameters[None], seeds, "real").returns[0]


def precision_lines(name: str, agent: Agent, seeds: NDArray[np.int64], workers: int) -> Iterator[str]:
    """A line a precision of V, and one for the difference."""
    computes = [ComputeConfig(workers=workers, precision=kind) for kind in PRECISIONS]
    yield from lines(name, list(PRECISIONS), [agent_returns(agent, False, seeds, compute) for compute in computes])


def lines(who: str, games: list[str], returns: list[NDArray]) -> Iterator[str]:
    """A line a game (or another condition), and one for the difference if there are two."""
    for game, scores in zip(games, returns, strict=True):
        yield f"{who:8} {game:26} {scores.mean():8.1f} +- {scores.std(ddof=1):6.1f}, SE {standard_error(scores):5.2f}"
    if len(returns) == 2:
        difference = returns[0] - returns[1]
        error = standard_error(difference)
        verdict = "agree" if abs(difference.mean()) <= 2 * error else "DIFFER"
        yield f"{who:8} {'difference, paired':26} {difference.mean():8.2f}, SE {error:.2f}: they {verdict}"


def standard_error(values: NDArray) -> float:
    """Of the mean of values (K,)."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--config")
    what.add_argument("--run", type=Path)
    parser.add_argument("--name", default="real")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--precision", action="store_true", help="compare precisions of V rather than games")
    options = parser.parse_args()
    if options.precision and options.run is None:
        parser.error("--precision compares scores of an agent: give its --run")
    agent = agent_at(options.run / "controllers" / options.name) if options.run else None
    task = agent.task if agent else load_config([options.config]).task
    seeds, compute = np.array(test_seeds(options.episodes)), ComputeConfig(workers=options.workers)
    if agent is not None and options.precision:
        print(f"{options.episodes} episodes, the same test seeds with each precision")
        for line in precision_lines(options.name, agent, seeds, options.workers):
            print(line, flush=True)
        return
    games = [task.env] + ([task.score_env] if task.score_env else [])
    both = [False, True][: len(games)]
    print(f"{options.episodes} episodes, the same test seeds in each game")
    for line in lines("random", games, [random_returns(task, score, seeds, compute) for score in both]):
        print(line, flush=True)
    if agent is not None:
        for line in lines(options.name, games, [agent_returns(agent, score, seeds, compute) for score in both]):
            print(line, flush=True)


if __name__ == "__main__":
    main()
