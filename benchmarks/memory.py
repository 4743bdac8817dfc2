"""Peak memory of every stage, of CarRacing runs of two sizes: what does not grow with the rollouts is bounded.

    python benchmarks/memory.py --episodes 20 80

Each stage runs in a process of its own, with `compute.workers 0`; its peak resident memory is the kernel's.
"""

import argparse
import multiprocessing
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worldmodels.cli import guarded
from worldmodels.collect import collect_rollouts
from worldmodels.evaluate import evaluate
from worldmodels.evolution.train import train_controller
from worldmodels.memory.train import train_memory
from worldmodels.options import load_config
from worldmodels.render import render_dream, render_real, write_report
from worldmodels.runs import Run
from worldmodels.vision.train import train_vision

STAGES: dict[str, Callable[[Run], object]] = {
    "nothing": lambda run: None,
    "collect": collect_rollouts,
    "V": train_vision,
    "M": train_memory,
    "C": lambda run: train_controller(run, "real"),
    "evaluate": evaluate,
    "film the game": lambda run: render_real(run, "real"),
    "film the dream": lambda run: render_dream(run, "real"),
    "report": write_report,
}
FEW: dict[str, Any] = {
    "vision": {"steps": 10, "validate_every": 10},
    "memory": {"steps": 5, "validate_every": 5},
    "controllers": {"real": {"population": 4, "rollouts": 2, "generations": 1, "max_steps": 100}},
    "evaluate": {"episodes": 2},
    "render": {"seconds": 4.0},
    "compute": {"workers": 0, "device": "cpu"},
}
"""Steps make no difference to memory, so there are few."""


def main() -> None:
    """Print a table with a row a stage."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, nargs=2, default=(20, 80), help="of 1,000 frames each")
    counts = parser.parse_args().episodes
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder) / str(count) for count in counts]
        print(f"{'peak MB, by frames':20}" + "".join(f"{1000 * count:>12,}" for count in counts))
        for name in STAGES:
            peaks = [_peak(name, run, count) for run, count in zip(runs, counts, strict=True)]
            print(f"{name:20}" + "".join(f"{peak:12,.0f}" for peak in peaks), flush=True)


def _peak(name: str, folder: Path, episodes: int) -> float:
    context = multiprocessing.get_context("spawn")
    inner, outer = context.Pipe()
    child = context.Process(target=_measured, args=(name, folder, episodes, outer))
    child.start()
    outer.close()
    peak = float(inner.recv())
    child.join()
    return peak


def _measured(name: str, folder: Path, episodes: int, pipe: Any) -> None:
    run = Run(folder, load_config(["car_racing"], FEW | {"collect": {"episodes": episodes}}))
    guarded(lambda: STAGES[name](run))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
