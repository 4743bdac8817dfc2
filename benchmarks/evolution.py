"""Evolving C: what everything but playing costs, and optimisers at equal budgets on a real run.

Without `--run`: processor time of a generation of 64 candidates x 16 episodes in which no game is played: the
evolution loop itself (ask, tell, seeds, splitting the work and putting it together, history and metrics on disk), with
trials pickled as they are on their way to workers.

With `--run`: evolves the run's controller by each optimiser from each seed, in runs of their own beside it that share
its rollouts, V and M. Can be stopped and called again; what is finished is not done again. The table shows the
validation score of the distribution's mean at shares of the steps that all of them have played.

    python benchmarks/evolution.py [--generations 20] [--optimizers cma openes]
    python benchmarks/evolution.py --run runs/mine --controller real --generations 40 --seeds 2
"""

import argparse
import dataclasses
import pickle
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
from rich.console import Console
from rich.table import Table

from worldmodels.cli import guarded
from worldmodels.compare.links import share_stage
from worldmodels.config import Config, ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution import fitness, train
from worldmodels.evolution.fitness import Trial
from worldmodels.evolution.history import Generation, read_history, standing
from worldmodels.evolution.optimizers import OPTIMIZERS
from worldmodels.metrics import say
from worldmodels.options import validate
from worldmodels.play import Outcomes
from worldmodels.runs import Run, stored_options
from worldmodels.stage import Stage

SIZES = {867: 4_000, 1_088: 60_000}
"""Parameters of the paper's CarRacing and TakeCover controllers, and steps a second at which they play on 2 cores."""
STEPS = 64 * 16 * 1_000
SHARES = (0.25, 0.5, 0.75, 1.0)


class InstantPool:
    """In place of the workers: every episode is over at once, with a return by chance."""

    size = 2

    def __init__(self, *arguments: object, **options: object) -> None:
        self._random = np.random.default_rng(1)

    def map(self, trials: Iterable[Trial]) -> Iterator[Outcomes]:
        """An outcome an episode."""
        for trial in trials:
            count = len(pickle.loads(pickle.dumps(trial)).seeds)
            yield Outcomes(self._random.standard_normal(count), np.ones(count, np.int64), np.zeros(count, bool))

    def close(self) -> None:
        """Nothing to end."""


def seconds(optimizer: str, parameters: int, generations: int) -> float:
    """Processor time of so many generations without playing."""
    agent = SimpleNamespace(form=SimpleNamespace(parameters=parameters), starts=None)
    config = ControllerConfig(optimizer=optimizer, generations=generations)  # type: ignore[arg-type]
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(fitness, "Pool", InstantPool),
        mock.patch.object(train, "blank_agent", return_value=agent),
    ):
        run = Run(Path(folder), Config())
        with run.controller("real").begin({}):
            begin = time.process_time()
            train.Evolution(run, run.controller("real"), "real", config).run()
            return time.process_time() - begin


def print_costs(optimizers: list[str], generations: int) -> None:
    """A line an optimiser and size."""
    print("Everything but playing, a generation of 64 candidates x 16 episodes; share of playing 1,000 steps of each")
    for name in optimizers:
        for parameters, rate in SIZES.items():
            begun = seconds(name, parameters, 1)
            cost = (seconds(name, parameters, generations + 1) - begun) / generations
            share = cost / (STEPS / rate)
            print(f"{name:8} P = {parameters:5,}  {1000 * cost:7.1f} ms  {share:6.2%} at {rate:,} steps/s", flush=True)


def sub_run(run: Run, name: str, optimizers: list[str], seed: int, generations: int) -> Run:
    """A run beside another one that shares its V and M, with the controller `name` once an optimiser."""
    base = dataclasses.replace(run.config.controllers[name], generations=generations, validation_patience=None)
    controllers = {optimizer: dataclasses.replace(base, optimizer=optimizer) for optimizer in optimizers}  # type: ignore[arg-type]
    folder = run.folder.with_name(f"{run.folder.name}-optimizers") / f"{name}-{seed}"
    sub = Run(folder, dataclasses.replace(run.config, seed=seed, controllers=controllers))
    members = range(run.config.memory.members)
    for source in (run.rollouts, run.vision, run.latents, *(run.member(number) for number in members)):
        share_stage(Stage(folder / source.folder.name, source.label, source.command), source)
    return sub


def score_at(history: list[Generation], steps: float) -> float:
    """The mean's last validation within a number of steps; NaN if there is none."""
    played = np.cumsum([entry.steps for entry in history])
    scores = [np.mean(e.validation) for e, at in zip(history, played, strict=True) if e.validation and at <= steps]
    return float(scores[-1]) if scores else float("nan")


def compare(folder: Path, name: str, optimizers: list[str], generations: int, seeds: int) -> None:
    """Evolve what is not yet evolved, and print the table."""
    run = Run(folder, validate(stored_options(folder), str(folder)))
    run.memory.summary()
    if name not in run.config.controllers:
        raise UserError(f"There is no controller {name} in the options of {folder}: give another --controller.")
    population = run.config.controllers[name].population
    for optimizer in optimizers:
        OPTIMIZERS[optimizer](2, population, 0.1, seed=1)  # refuses a population that does not suit it
    runs = [sub_run(run, name, optimizers, seed, generations) for seed in range(1, seeds + 1)]
    for sub in runs:
        for optimizer in optimizers:
            say(f"{optimizer}, seed {sub.config.seed}")
            train.train_controller(sub, optimizer)
    histories = {
        optimizer: [read_history(sub.controller(optimizer).folder) for sub in runs] for optimizer in optimizers
    }
    print_comparison(run.config.controllers[name], histories)


def print_comparison(config: ControllerConfig, histories: dict[str, list[list[Generation]]]) -> None:
    """A row a sub-run, and one with the mean over seeds an optimiser."""
    budget = min(sum(entry.steps for entry in history) for group in histories.values() for history in group)
    count = len(next(iter(histories.values())))
    table = Table(title=f"Validation of the mean; {config.population} candidates x {config.rollouts} episodes")
    headings = [f"{share * budget / 1e6:.2f} M steps" for share in SHARES]
    for heading in ("optimizer", "seed", *headings, "kept", "generations", "steps"):
        table.add_column(heading, justify="left" if heading == "optimizer" else "right")
    for optimizer, group in histories.items():
        scores = np.array([[score_at(history, share * budget) for share in SHARES] for history in group])
        kept = [standing(history).score for history in group]
        for number, history in enumerate(group):
            steps = sum(entry.steps for entry in history)
            cells = [f"{score:.1f}" for score in (*scores[number], kept[number])]
            table.add_row(optimizer, str(number + 1), *cells, str(len(history)), f"{steps / 1e6:.2f} M")
        if count > 1:
            columns = np.column_stack([scores, kept])
            cells = [f"{m:.1f} +- {s:.1f}" for m, s in zip(columns.mean(0), columns.std(0, ddof=1), strict=True)]
            table.add_row(optimizer, "all", *cells, "", "", end_section=True)
    Console(width=None if Console().is_terminal else 140).print(table)


def main() -> None:
    """Measure or compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--controller", default="real")
    parser.add_argument("--optimizers", nargs="+", choices=list(OPTIMIZERS), default=list(OPTIMIZERS))
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    if options.run is None:
        print_costs(options.optimizers, options.generations)
    else:
        compare(options.run, options.controller, options.optimizers, options.generations, options.seeds)


if __name__ == "__main__":
    guarded(main)
