"""Dreams a second, all in (M, sampling, C, bookkeeping, workers), against M's bare matrix products, and the stock game.

The roofline multiplies matrices of M's sizes, both products of a step at the batch of one worker, in the same number of
single-threaded processes at once, and does nothing else. The real game is stock CarRacing-v3 stepped by the same agent
frame by frame. M's weights are random, with a chance of 1 in 500 that a step is the last.

    python benchmarks/dream.py [--workers 2] [--seconds 10] [--stock-steps 100]
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from real_fitness import gentle_agent, rate

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig, ControllerConfig
from worldmodels.envs import make_game
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.starts import Starts
from worldmodels.options import load_config
from worldmodels.play import Cuts
from worldmodels.runtime import pick_precision
from worldmodels.seeds import training_seeds
from worldmodels.vision import build_vision
from worldmodels.workers import Pool

POPULATION, ROLLOUTS = 64, 16
CHANCE_OF_END = 1 / 500


def dreaming_agent(task: str) -> Agent:
    """An agent with the paper's sizes for a task, random weights, and the heads that a dream needs."""
    config = load_config([task])
    squash = make_game(config.task).get_wrapper_attr("squash")
    vision = build_vision(config.vision).eval()
    sizes = dataclasses.replace(config.memory, done_head=True, reward_head=task == "car_racing")
    memory = MDNRNN(sizes, vision.latent_dim, squash.dim).eval()
    with torch.no_grad():
        memory.head.weight[-1] = 0
        memory.head.bias[-1] = np.log(CHANCE_OF_END / (1 - CHANCE_OF_END))
    latents, states = torch.randn(64, vision.latent_dim), torch.zeros(64, sizes.hidden)
    starts = Starts(latents, torch.zeros_like(latents), states, states, torch.ones(64, dtype=torch.bool))
    controller = config.controllers.get("dream", ControllerConfig(world="dream"))
    agent = Agent(config.task, squash, vision, memory, starts, controller, np.zeros(0, np.float32))
    return dataclasses.replace(agent, parameters=np.zeros(agent.form.parameters, np.float32))


class Products:
    """A worker's job: M's two matrix products at a batch, for some seconds; returns steps a second."""

    def __init__(self, inputs: int, hidden: int, outputs: int, batch: int, precision: torch.dtype) -> None:
        self.sizes, self.batch, self.precision = (inputs, hidden, outputs), batch, precision

    def __call__(self, seconds: float) -> float:
        inputs, hidden, outputs = self.sizes
        x, gates = (torch.randn(*size).to(self.precision) for size in ((self.batch, inputs), (inputs, 4 * hidden)))
        h, head = (torch.randn(*size).to(self.precision) for size in ((self.batch, hidden), (hidden, outputs)))
        count, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            torch.mm(x, gates)
            torch.mm(h, head)
            count += 1
        return self.batch * count / (time.perf_counter() - begin)

    def close(self) -> None:
        """Nothing to close."""


def roofline(agent: Agent, compute: ComputeConfig, seconds: float) -> float:
    """Steps a second that the matrix products allow, all workers together."""
    memory, precision = agent.memory, pick_precision(compute, torch.device("cpu"))
    inputs = sum(weight.shape[1] for weight in memory.recurrent[:2])
    job: Callable[[], Products] = partial(
        Products, inputs, memory.config.hidden, memory.head.out_features, compute.dream_lanes, precision
    )
    pool: Pool[float, float] = Pool(job, compute)
    try:
        list(pool.map(iter([0.5] * pool.size)))
        return sum(pool.map(iter([seconds] * pool.size)))
    finally:
        pool.close()


def dreams(agent: Agent, compute: ComputeConfig, seconds: float) -> float:
    """Steps a second of whole generations in the dream."""
    random = np.random.default_rng(1)
    candidates = random.normal(0, 0.1, (POPULATION, agent.form.parameters)).astype(np.float32)
    with Fitness(Worlds(agent, compute, temperature=1.0)) as fitness:
        fitness.evaluate(candidates, np.array(training_seeds(1, "benchmark", 0, 2)), "dream", Cuts(max_steps=20))
        steps, generation, begin = 0, 1, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            seeds = np.array(training_seeds(1, "benchmark", generation, ROLLOUTS))
            steps += int(fitness.evaluate(candidates, seeds, "dream").lengths.sum())
            generation += 1
        return steps / (time.perf_counter() - begin)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--stock-steps", type=int, default=100)
    options = parser.parse_args()
    compute = ComputeConfig(workers=options.workers)
    plain = dataclasses.replace(compute, lanes=1, precision="float32")
    stock = rate(gentle_agent(), plain, True, 2 * options.workers, options.stock_steps)
    print(f"Dreams of {POPULATION} candidates x {ROLLOUTS}, {options.workers} workers, ends and resets included")
    for task in ("car_racing", "take_cover"):
        agent = dreaming_agent(task)
        for precision in ("float32", "bfloat16"):
            at = dataclasses.replace(compute, precision=precision)
            bare, ours = roofline(agent, at, options.seconds / 2), dreams(agent, at, options.seconds)
            print(
                f"{task:10s} {precision:8s} {ours:8,.0f} steps/s = {ours / bare:4.0%} of the bare products "
                f"({bare:,.0f})" + (f", {ours / stock:5,.0f}x the stock game" if task == "car_racing" else "")
            )
    print(f"stock CarRacing-v3, same agent, frame by frame: {stock:,.0f} steps/s")


if __name__ == "__main__":
    main()
