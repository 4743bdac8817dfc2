"""Collection and evolution for hours, and the memory of every process that takes part.

Runs, again and again until the time is up, collection and a controller's evolution of a small run, in this process and
its Ray workers, and writes down every few seconds what each process holds for itself (pages that no other shares, so
that others which come and go change nothing). Ends with a picture and with the growth of each kind of process, fitted
to its peaks after the first quarter, in which caches fill.

    python benchmarks/soak.py --minutes 120 --to soak [--config car_racing] [--workers 2]
"""

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from worldmodels.cli import guarded
from worldmodels.collect import collect_rollouts
from worldmodels.config import Config
from worldmodels.evolution.train import train_controller
from worldmodels.memory.train import train_memory
from worldmodels.metrics import say
from worldmodels.options import load_config
from worldmodels.runs import Run
from worldmodels.vision.train import train_vision

SMALL = {
    "collect": {"episodes": 8, "max_steps": 100},
    "vision": {"steps": 20, "batch": 16, "validate_every": 20},
    "memory": {"steps": 20, "batch": 8, "sequence": 32, "validate_every": 20, "reward_head": True, "done_head": True},
}
EPISODES, GENERATIONS = 40, 5
"""So many more of each in every round."""
PARTS = 24
"""Of the time: memory is compared by the peak of each."""


class Watch:
    """Samples the memory of this process and of all below it, in a thread, to `memory.jsonl`."""

    def __init__(self, path: Path, every: float) -> None:
        self._path, self._every, self._over = path, every, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        begin = time.monotonic()
        with self._path.open("w") as file:
            while not self._over.wait(self._every):
                held = {"seconds": round(time.monotonic() - begin, 1), "bytes": dict(memory_below(os.getpid()))}
                file.write(json.dumps(held) + "\n")
                file.flush()


def memory_below(root: int) -> Iterator[tuple[str, int]]:
    """Name and bytes of a process and of all that it started, directly or not."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(path.name)] = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")[0]
    for pid, name in names.items():
        above = pid
        while above not in (root, 0, 1):
            above = parents.get(above, 0)
        if above == root:
            with contextlib.suppress(OSError):
                rollup = (Path("/proc") / str(pid) / "smaps_rollup").read_text()
                size = sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Private_"))
                kind = "driver" if pid == root else name.removeprefix("ray::").split("/")[-1].split(".")[0]
                yield f"{kind} {pid}", size


def rounds(folder: Path, config: Config, seconds: float) -> Iterator[int]:
    """Collect and evolve until the time is up; yields the number of each round that is over."""
    end, number = time.monotonic() + seconds, 0
    run = Run(folder, config)
    for stage in (collect_rollouts, train_vision, train_memory):
        stage(run)
    while time.monotonic() < end:
        number += 1
        collecting = Run(folder / "more", with_more(config, number))
        collect_rollouts(collecting)
        evolving = Run(folder, with_more(config, number))
        train_controller(evolving, "real")
        if number % 10 == 0:
            shutil.rmtree(folder / "more")  # so that a long soak does not fill the disk
        yield number


def with_more(config: Config, number: int) -> Config:
    """The options of a round: the same collection and controller, with more episodes and generations."""
    collect = dataclasses.replace(config.collect, episodes=EPISODES * (1 + (number - 1) % 10))
    real = dataclasses.replace(config.controllers["real"], generations=GENERATIONS * number)
    return dataclasses.replace(config, collect=collect, controllers={"real": real})


def read_samples(path: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Seconds (S,) and the megabytes (S,) of every kind of process: the mean over those alive, NaN if there is none."""
    samples = [json.loads(line) for line in path.read_text().splitlines()]
    kinds = sorted({name.split(" ")[0] for sample in samples for name in sample["bytes"]})
    held = {kind: np.full(len(samples), np.nan) for kind in kinds}
    for row, sample in enumerate(samples):
        for kind in kinds:
            sizes = [size for name, size in sample["bytes"].items() if name.split(" ")[0] == kind]
            if sizes:
                held[kind][row] = np.mean(sizes) / 2**20
    return np.array([sample["seconds"] for sample in samples]), held


def growth(seconds: np.ndarray, megabytes: np.ndarray) -> float | None:
    """Megabytes an hour by which the peaks grow, after the first quarter; None if there are too few.

    Peaks, one in each part of the time, since processes come and go and are small when they are new.
    """
    late = (seconds > seconds[-1] / 4) & np.isfinite(megabytes)
    if late.sum() <= 2:
        return None
    part = (PARTS * seconds[late] / seconds[-1]).astype(int)
    peaks = np.array([megabytes[late][part == one].argmax() + (part < one).sum() for one in np.unique(part)])
    return float(3600 * np.polyfit(seconds[late][peaks], megabytes[late][peaks], 1)[0]) if len(peaks) > 2 else None


def report(folder: Path, finished: int) -> None:
    """Write `memory.png` and `soak.json`, and print a line a kind of process."""
    seconds, held = read_samples(folder / "memory.jsonl")
    figure, axes = plt.subplots(figsize=(9, 5))
    found = {}
    for kind, megabytes in held.items():
        axes.plot(seconds / 60, megabytes, label=kind)
        found[kind] = {"peak_megabytes": float(np.nanmax(megabytes)), "growth_an_hour": growth(seconds, megabytes)}
        rate = found[kind]["growth_an_hour"]
        print(f"{kind:28} at most {found[kind]['peak_megabytes']:7.0f} MB", end="")
        print("" if rate is None else f"   {rate:+8.1f} MB an hour after the first quarter")
    axes.set(xlabel="minutes", ylabel="megabytes a process", ylim=(0, None))
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(folder / "memory.png", dpi=120, bbox_inches="tight")
    minutes = float(seconds[-1] / 60)
    (folder / "soak.json").write_text(json.dumps({"minutes": minutes, "rounds": finished, "kinds": found}, indent=1))


def main() -> None:
    """Soak and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--to", type=Path, required=True, help="folder for memory.jsonl, soak.json and memory.png")
    parser.add_argument("--config", nargs="+", default=["car_racing"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples")
    options = parser.parse_args()
    evolved = {"population": 8, "rollouts": 2, "generations": 1, "max_steps": 100, "validate_every": 5}
    controllers = {"real": {**evolved, "validation_episodes": 4}}
    settings = {**SMALL, "controllers": controllers, "compute": {"workers": options.workers}}
    config = load_config(options.config, settings)
    options.to.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(options.to / "run", ignore_errors=True)
    finished = 0
    try:
        with Watch(options.to / "memory.jsonl", options.every):
            for finished in rounds(options.to / "run", config, 60 * options.minutes):
                say(f"Round {finished}")
    finally:
        report(options.to, finished)
        shutil.rmtree(options.to / "run", ignore_errors=True)


if __name__ == "__main__":
    guarded(main)
