"""Collecting TakeCover to disk, end to end, against bare engines.

Baseline: a process a core, each with an engine that plays random moves and whose screens, in RGB, are looked at;
nothing else is done with them. Ours: the collection stage with its defaults, Ray already running, its workers' start
included. An engine is a process of its own: while it plays, its worker waits, and while both wake up, a core is idle,
which is why more workers than cores may be faster.

    python benchmarks/take_cover_collection.py [--rounds 3] [--episodes 1000] [--cores 2] [--workers 2 3 4]
"""

import argparse
import dataclasses
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import vizdoom as vzd
from take_cover import bare_loop

from worldmodels.collect import collect_rollouts
from worldmodels.config import ComputeConfig
from worldmodels.data.rollouts import EPISODES
from worldmodels.disk import folder_bytes
from worldmodels.envs.doom_engine import start_engine
from worldmodels.options import load_config
from worldmodels.process import keep_freed_memory
from worldmodels.ray_cluster import start_ray
from worldmodels.runs import Run

STEPS = 10_000


def bare_rate(cores: int) -> float:
    """Tics a second of bare engines on all cores together."""
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        return sum(pool.map(one_bare_rate, range(cores), chunksize=1))


def one_bare_rate(seed: int) -> float:
    """Tics a second of one bare engine."""
    game = start_engine(skill=4, time_limit=2100, labels=False, screen=vzd.ScreenFormat.RGB24)
    game.set_seed(seed + 1)
    begin = time.perf_counter()
    bare_loop(game, STEPS)
    rate = STEPS / (time.perf_counter() - begin)
    game.close()
    return rate


def collected(folder: Path, episodes: int, workers: int) -> tuple[float, float]:
    """Frames a second to disk, and bytes a frame on disk."""
    config = load_config(["take_cover"])
    collect = dataclasses.replace(config.collect, episodes=episodes)
    run = Run(folder, dataclasses.replace(config, collect=collect, compute=ComputeConfig(workers=workers)))
    begin = time.perf_counter()
    collect_rollouts(run)
    seconds = time.perf_counter() - begin
    frames = run.rollouts.summary()["frames"]
    return frames / seconds, folder_bytes(run.rollouts.folder / EPISODES) / frames


def main() -> None:
    """Take the rounds in turn and print what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 3, 4])
    options = parser.parse_args()
    keep_freed_memory()  # as every command does
    start_ray(ComputeConfig(workers=max(options.workers)))
    bare, size = list[float](), 0.0
    ratios: dict[int, list[float]] = {workers: [] for workers in options.workers}
    for _ in range(options.rounds):
        bare.append(bare_rate(options.cores))
        print(f"bare engines on {options.cores} cores {bare[-1]:8.0f} tics/s", flush=True)
        for workers in options.workers:
            with tempfile.TemporaryDirectory() as folder:
                rate, size = collected(Path(folder) / "run", options.episodes, workers)
            ratios[workers].append(rate / bare[-1])
            print(f"collection, {workers} workers   {rate:8.0f} frames/s  {ratios[workers][-1]:5.2f}x", flush=True)
    medians = ", ".join(f"{workers} workers {statistics.median(found):.2f}x" for workers, found in ratios.items())
    print(f"medians of {options.rounds} rounds: {medians}; {size:.0f} bytes a frame on disk")


if __name__ == "__main__":
    main()
