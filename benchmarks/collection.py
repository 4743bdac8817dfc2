"""Collecting CarRacing to disk, end to end, and reading it back.

Baseline: two processes of `gymnasium.vector.AsyncVectorEnv` over stock CarRacing-v3 with random actions, frames cropped
and resized to 64x64 and written with `np.savez_compressed`, an episode's worth of steps a file. Ours: the collection
stage with its defaults, Ray already running, its workers' start included. Both end with files on disk.

    python benchmarks/collection.py [--steps 500] [--episodes 120] [--workers 2]
"""

import argparse
import dataclasses
import tempfile
import time
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np

from worldmodels.collect import collect_rollouts
from worldmodels.config import ComputeConfig
from worldmodels.data.rollouts import EPISODES, Rollouts
from worldmodels.disk import folder_bytes
from worldmodels.envs.frames import to_task_frame
from worldmodels.options import load_config
from worldmodels.ray_cluster import start_ray
from worldmodels.runs import Run
from worldmodels.seeds import stream

CROP = (0, 84, 0, 96)
READS = 100


def baseline(folder: Path, steps: int, workers: int) -> float:
    """Frames a second of the plain way, `steps` steps of each of `workers` games."""
    envs = gym.vector.AsyncVectorEnv([partial(gym.make, "CarRacing-v3") for _ in range(workers)])
    try:
        envs.reset(seed=1)
        begin = time.perf_counter()
        frames, actions = [], []
        for _ in range(steps):
            action = envs.action_space.sample()
            observations = envs.step(action)[0]
            frames.append([to_task_frame(observation, CROP) for observation in observations])
            actions.append(action)
        np.savez_compressed(folder / "baseline.npz", frames=np.array(frames), actions=np.array(actions))
        return steps * workers / (time.perf_counter() - begin)
    finally:
        envs.close()


def ours(folder: Path, episodes: int, compute: ComputeConfig) -> tuple[float, float, float]:
    """Frames a second to disk, bytes a frame on disk, and random frames a second read in batches of 100."""
    config = load_config(["car_racing"])
    collect = dataclasses.replace(config.collect, episodes=episodes)
    run = Run(folder / "run", dataclasses.replace(config, collect=collect, compute=compute))
    begin = time.perf_counter()
    collect_rollouts(run)
    seconds = time.perf_counter() - begin
    path = run.rollouts.folder / EPISODES
    rollouts = Rollouts(path)
    frames = int(rollouts.starts[-1])
    size = folder_bytes(path)
    batches = stream(1, "benchmark").integers(0, frames, (READS, 100))
    begin = time.perf_counter()
    for rows in batches:
        rollouts.frames(rows)
    return frames / seconds, size / frames, batches.size / (time.perf_counter() - begin)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--episodes", type=int, default=120)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    compute = ComputeConfig(workers=options.workers)
    with tempfile.TemporaryDirectory() as name:
        slow = baseline(Path(name), options.steps, options.workers)
        start_ray(compute)
        fast, size, reads = ours(Path(name), options.episodes, compute)
    print(f"Collecting CarRacing to disk, {options.workers} workers")
    print(f"AsyncVectorEnv, stock, savez_compressed {slow:8.0f} frames/s")
    print(f"collection stage                        {fast:8.0f} frames/s   {fast / slow:5.1f}x")
    print(f"on disk {size:.0f} bytes a frame; random reads in batches of 100: {reads:,.0f} frames/s")


if __name__ == "__main__":
    main()
