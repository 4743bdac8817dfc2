"""Fitness in the real game, all in (game, V, M, C, workers), against the same agent played frame by frame on stock.

Baseline: each core plays one stock CarRacing-v3 at a time, its frame cropped and resized, V in float32 on a batch of
one.
Ours: the same call with the project's defaults. V and M have random weights, C drives gently; speed does not depend on
what they have learned. Both measure after their workers have warmed up.

    python benchmarks/real_fitness.py [--steps 150] [--workers 2] [--lanes 32]
"""

import argparse
import dataclasses
import time

import numpy as np
import torch

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig, ControllerConfig
from worldmodels.controller.form import ControllerForm
from worldmodels.envs import make_game
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.starts import Starts
from worldmodels.options import load_config
from worldmodels.play import Cuts
from worldmodels.seeds import training_seeds
from worldmodels.vision import build_vision


def gentle_agent() -> Agent:
    """An agent with random V and M that creeps forward whatever it sees."""
    config = load_config(["car_racing"])
    squash = make_game(config.task).get_wrapper_attr("squash")
    vision = build_vision(config.vision).eval()
    memory = MDNRNN(config.memory, vision.latent_dim, squash.dim).eval()
    empty = torch.zeros(0, vision.latent_dim), torch.zeros(0, config.memory.hidden)
    starts = Starts(empty[0], empty[0], empty[1], empty[1], torch.zeros(0, dtype=torch.bool))
    controller = ControllerConfig()
    form = ControllerForm.build(controller, vision.latent_dim, config.memory.hidden, squash.dim)
    parameters = np.zeros(form.parameters, np.float32)
    parameters[-3:] = 0.0, -1.0, -1.0  # biases: straight on, a little gas, no brake
    return Agent(config.task, squash, vision, memory, starts, controller, parameters)


def rate(agent: Agent, compute: ComputeConfig, score: bool, episodes: int, steps: int) -> float:
    """Steps a second of `episodes` episodes of `steps` steps, after a warm-up."""
    seeds = np.array(training_seeds(1, "benchmark", 0, episodes))
    with Fitness(Worlds(agent, compute, temperature=1.0, score=score)) as fitness:
        fitness.evaluate(agent.parameters[None], seeds, "real", Cuts(max_steps=5))
        begin = time.perf_counter()
        outcomes = fitness.evaluate(agent.parameters[None], seeds, "real", Cuts(max_steps=steps))
        return float(outcomes.lengths.sum() / (time.perf_counter() - begin))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lanes", type=int, default=ComputeConfig().lanes)
    options = parser.parse_args()
    agent, ours = gentle_agent(), ComputeConfig(workers=options.workers, lanes=options.lanes)
    baseline = dataclasses.replace(ours, lanes=1, precision="float32")
    slow = rate(agent, baseline, True, 2 * options.workers, options.steps)
    fast = rate(agent, ours, False, 2 * ours.lanes * options.workers, 4 * options.steps)
    print(f"Real fitness on CarRacing, {options.workers} workers, resets included")
    print(f"stock, one frame at a time   {slow:7.0f} steps/s")
    print(f"ours, {ours.lanes} lanes a worker    {fast:7.0f} steps/s   {fast / slow:5.1f}x")


if __name__ == "__main__":
    main()
