"""Dreams a second of whole generations on a GPU, in batches of several sizes, against M's bare matrix products there.

The roofline multiplies matrices of M's sizes, both products of a step at the batch, and does nothing else. M's weights
are random, with a chance of 1 in 500 that a step is the last; dreams that are over are dropped.

    python benchmarks/gpu_dream.py [--device cuda] [--seconds 5] [--batches 1024 4096 16384 65536]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from dream import dreaming_agent

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig
from worldmodels.runtime import pick_device
from worldmodels.seeds import training_seeds

CANDIDATES = 64


def roofline(agent: Agent, batch: int, device: torch.device, precision: torch.dtype, seconds: float) -> float:
    """Steps a second that the matrix products allow."""
    memory = agent.memory
    inputs, hidden = sum(weight.shape[1] for weight in memory.recurrent[:2]), memory.config.hidden
    sizes = (batch, inputs), (inputs, 4 * hidden), (batch, hidden), (hidden, memory.head.out_features)
    x, gates, h, head = (torch.randn(*size, device=device).to(precision) for size in sizes)

    def products() -> int:
        for _ in range(100):
            torch.mm(x, gates)
            torch.mm(h, head)
        return 100 * batch

    return rate(products, device, seconds)


def dreams(agent: Agent, batch: int, device: torch.device, precision: torch.dtype, seconds: float) -> float:
    """Steps a second of whole generations."""
    rollouts = agent.dream_rollouts(batch, 1.0, device, precision=precision)
    random = np.random.default_rng(1)
    candidates = random.normal(0, 0.1, (CANDIDATES, agent.form.parameters)).astype(np.float32)
    players, generation = np.repeat(np.arange(CANDIDATES), batch // CANDIDATES), 0

    def play() -> int:
        nonlocal generation
        generation += 1
        seeds = np.tile(training_seeds(1, "benchmark", generation, batch // CANDIDATES), CANDIDATES)
        return int(rollouts.play(candidates, players, seeds).lengths.sum())

    return rate(play, device, seconds)


def rate(work: Callable[[], int], device: torch.device, seconds: float) -> float:
    """Steps a second of some work that returns how many it did."""
    work()
    finish = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    finish()
    steps, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        steps += work()
        finish()
    return steps / (time.perf_counter() - begin)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batches", type=int, nargs="+", default=[1024, 4096, 16384, 65536])
    options = parser.parse_args()
    device = pick_device(ComputeConfig(device=options.device))
    print(torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU")
    for task in ("car_racing", "take_cover"):
        agent = dreaming_agent(task)
        for precision in (torch.float32, torch.bfloat16):
            for batch in options.batches:
                bare = roofline(agent, batch, device, precision, options.seconds / 2)
                ours = dreams(agent, batch, device, precision, options.seconds)
                print(
                    f"{task:10s} {str(precision).removeprefix('torch.'):8s} {batch:6,} dreams: {ours:11,.0f} steps/s = "
                    f"{ours / bare:4.0%} of the bare products ({bare:,.0f})"
                )


if __name__ == "__main__":
    main()
