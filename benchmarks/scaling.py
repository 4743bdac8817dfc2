"""What a generation costs on 1 to 4,096 workers: per-call costs are measured, the rest is a simulation of them.

Measured, with one Ray worker: the driver's time for a call that does nothing, and its latency; the bytes of what is
sent; the time of a step of n games side by side, a + b n, from two lane counts; the lengths of episodes. Then a
generation is put together from these: episodes are dealt out as `Fitness` does, lanes take the next episode when theirs
is over, lengths are drawn from the measured ones.

Assumed: every worker has a core of its own, as fast as this one; the driver handles one call after the other; all
bytes pass its network link; nothing else is slow (the optimiser's ask and tell, validation and stragglers are left
out). docs/scaling.md says what follows.

With `--real 2` the same work is timed with one and with two workers, which have to have a core each.

    python benchmarks/scaling.py [--run runs/demo --controller real] [--real 2] [--to scaling.json]
"""

import argparse
import dataclasses
import json
import pickle
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from real_fitness import gentle_agent

from worldmodels.agent import Agent, agent_of_run
from worldmodels.cli import guarded
from worldmodels.config import ComputeConfig
from worldmodels.evolution.fitness import Fitness, PlayTrials, Trial, Worlds
from worldmodels.options import validate
from worldmodels.play import Cuts, Outcomes
from worldmodels.runs import Run, stored_options
from worldmodels.seeds import stream, training_seeds
from worldmodels.workers import Pool

POPULATION, ROLLOUTS, LANES = 64, 16, 32
WORKERS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
BUSY = 0.9
"""Workers are kept busy if so much of their time goes into playing."""
CUTS = Cuts(patience=100)
ROUNDS = 3
"""How often 1 and more workers are timed, in turn."""


class Costs(NamedTuple):
    """What was measured.

    Attributes:
        call: seconds of the driver's time a call.
        latency: seconds from handing over a call that does nothing to having its result.
        step, lane: seconds of a step of no games, and what each game adds (a and b).
        lengths: steps of episodes.
        shipped: bytes of V, M and games, once a node; parameters: of a candidate; episode: of a seed and its outcome.
    """

    call: float
    latency: float
    step: float
    lane: float
    lengths: list[int]
    shipped: int
    parameters: int
    episode: int


class Nothing:
    """A job that does nothing."""

    def __call__(self, trial: Trial) -> Outcomes:
        """No outcomes."""
        return Outcomes(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, bool))


def part_steps(lengths: NDArray[np.int64], lanes: int) -> int:
    """Steps until `lanes` lanes have played episodes of these lengths, each lane the next one when it is free."""
    free = np.zeros(min(lanes, len(lengths)), np.int64)
    for length in lengths:
        lane = int(free.argmin())
        free[lane] += length
    return int(free.max())


def generation(costs: Costs, workers: int, population: int, rollouts: int, link: float, seed: int = 1) -> float:
    """Seconds of a generation; `link` is the driver's bandwidth in bytes a second."""
    episodes = population * rollouts
    size = -(-episodes // workers)
    lengths = stream(seed, "scaling", workers, population).choice(costs.lengths, episodes)
    latest = 0.0
    for number, first in enumerate(range(0, episodes, size)):
        part = lengths[first : first + size]
        payload = costs.parameters * (1 + (len(part) - 1) // rollouts) + costs.episode * len(part)
        begin = (number + 1) * (costs.call / 2 + payload / link)  # half of a call's work is before it, half after
        playing = costs.step * part_steps(part, LANES) + costs.lane * int(part.sum())
        latest = max(latest, begin + costs.latency + playing) + costs.call / 2
    return latest


def efficiency(costs: Costs, workers: int, population: int, rollouts: int, link: float) -> float:
    """Share of the workers' time that goes into what one worker alone would do."""
    alone = generation(costs, 1, population, rollouts, link)
    return alone / workers / generation(costs, workers, population, rollouts, link)


def busy_population(costs: Costs, workers: int, rollouts: int, link: float) -> int | None:
    """The smallest population, of powers of 2, that keeps the workers busy; None if not even 65,536 does."""
    for population in 2 ** np.arange(4, 17):
        if efficiency(costs, workers, int(population), rollouts, link) >= BUSY:
            return int(population)
    return None


def measure(agent: Agent, compute: ComputeConfig, calls: int, steps: int) -> Costs:
    """Measure with one worker."""
    candidate = np.repeat(agent.parameters[None], 2, axis=0)
    trial = Trial("real", candidate[:1], np.zeros(ROLLOUTS, np.int64), np.arange(ROLLOUTS), CUTS)
    with Pool(Nothing, compute) as pool:
        list(pool.map([trial] * 10))
        call = seconds_of(partial(list, pool.map([trial] * calls))) / calls
        latency = min(seconds_of(partial(list, pool.map([trial]))) for _ in range(10))
    rates = {}
    for lanes in (1, LANES):
        with Fitness(Worlds(agent, dataclasses.replace(compute, lanes=lanes), 1.0)) as fitness:
            seeds = np.array(training_seeds(1, "scaling", 0, lanes))
            fitness.evaluate(candidate[:1], seeds, "real", Cuts(max_steps=5))
            rates[lanes] = seconds_of(lambda: fitness.evaluate(candidate[:1], seeds, "real", Cuts(max_steps=steps)))  # noqa: B023
            if lanes == LANES:
                lengths = fitness.evaluate(candidate[:1], seeds, "real", CUTS).lengths[0]
    each = (rates[LANES] - rates[1]) / (LANES - 1) / steps
    outcomes = Outcomes(np.zeros(100), np.zeros(100, np.int64), np.zeros(100, bool))
    return Costs(
        call=call,
        latency=latency,
        step=max(0.0, rates[1] / steps - each),
        lane=each,
        lengths=lengths.tolist(),
        shipped=len(pickle.dumps(partial(PlayTrials, Worlds(agent, compute, 1.0)))),
        parameters=candidate[0].nbytes,
        episode=len(pickle.dumps(outcomes)) // 100 + 16,
    )


def seconds_of(work: object) -> float:
    """Wall-clock time of a call."""
    assert callable(work)
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def real_times(agent: Agent, compute: ComputeConfig, most: int) -> dict[int, list[float]]:
    """Seconds of the same generation of whole episodes with 1 and with `most` workers, warmed up, in turn."""
    candidates = np.repeat(agent.parameters[None], 8 * most, axis=0)
    seeds = np.array(training_seeds(1, "scaling/real", 0, 8))
    times: dict[int, list[float]] = {1: [], most: []}
    for _ in range(ROUNDS):
        for workers, seconds in times.items():
            with Fitness(Worlds(agent, dataclasses.replace(compute, workers=workers), 1.0)) as fitness:
                fitness.evaluate(candidates, seeds, "real", Cuts(max_steps=20))
                seconds.append(seconds_of(lambda: fitness.evaluate(candidates, seeds, "real", CUTS)))
    return times


def print_costs(costs: Costs) -> None:
    """What was measured."""
    lengths = np.array(costs.lengths)
    print(f"call {1e3 * costs.call:.2f} ms of the driver, {1e3 * costs.latency:.2f} ms there and back")
    print(f"step of n games side by side {1e3 * costs.step:.2f} ms + n x {1e3 * costs.lane:.3f} ms")
    print(f"episodes of {lengths.mean():.0f} +- {lengths.std():.0f} steps, {lengths.min()} to {lengths.max()}")
    print(f"sent: {costs.shipped:,} bytes once a node; a candidate {costs.parameters:,}, an episode {costs.episode}")


def print_generations(costs: Costs, link: float) -> list[dict[str, object]]:
    """A line a number of workers, as Markdown; returns the numbers."""
    rows = list[dict[str, object]]()
    print(f"\n| workers | {POPULATION} x {ROLLOUTS} episodes | busy | population that keeps {BUSY:.0%} busy |")
    print("|---:|---:|---:|---:|")
    for workers in WORKERS:
        seconds = generation(costs, workers, POPULATION, ROLLOUTS, link)
        busy = efficiency(costs, workers, POPULATION, ROLLOUTS, link)
        wanted = busy_population(costs, workers, ROLLOUTS, link)
        shown = "none" if wanted is None else f"{wanted:,}"
        print(f"| {workers:,} | {seconds:.1f} s | {busy:.0%} | {shown} |", flush=True)
        rows.append({"workers": workers, "seconds": seconds, "efficiency": busy, "population": wanted})
    return rows


def main() -> None:
    """Measure, simulate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="take the agent of this run instead of a random one")
    parser.add_argument("--controller", default="real")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100, help="steps to time")
    parser.add_argument("--link", type=float, default=1.0, help="the driver's network link in Gbit/s")
    parser.add_argument("--real", type=int, metavar="WORKERS", help="time the same work with 1 and so many workers")
    parser.add_argument("--to", type=Path, help="JSON file for the numbers")
    options = parser.parse_args()
    agent = gentle_agent()
    if options.run:
        run = Run(options.run, validate(stored_options(options.run), str(options.run)))
        agent = agent_of_run(run, options.controller)
    compute = ComputeConfig(workers=max(1, options.real or 1), lanes=LANES)
    link, found = options.link * 1e9 / 8, dict[str, object]()
    if options.real:
        times = real_times(agent, compute, options.real)
        one, many = np.array(times[1]), np.array(times[options.real])
        shares = one / many / options.real
        for alone, together, share in zip(one, many, shares, strict=True):
            print(f"1 worker {alone:.1f} s, {options.real} workers {together:.1f} s: efficiency {share:.2f}")
        print(f"median efficiency {np.median(shares):.2f}")
        found |= {"real": times, "real_efficiency": float(np.median(shares))}
    costs = measure(agent, dataclasses.replace(compute, workers=1), options.calls, options.steps)
    print_costs(costs)
    found |= {"costs": costs._asdict(), "link": link, "generations": print_generations(costs, link)}
    if options.to:
        options.to.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    guarded(main)
