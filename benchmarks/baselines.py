"""What each part of the agent is worth, or each optimiser: the whole pipeline from several seeds, with equal budgets.

From each seed: rollouts, V and M, then every controller of the options, each evolved on these with the same number of
candidates, episodes and generations, and scored on the test seeds. `configs/baselines.yaml` has the paper's baselines
(V alone, V with a hidden layer in C) and that of others (an untrained M), `configs/optimizers.yaml` the optimisers.

    python benchmarks/baselines.py --to runs/baselines [--config car_racing baselines] [--seeds 1 2 3]
    python benchmarks/baselines.py --to runs/optimizers --config car_racing optimizers

Can be killed and repeated. Writes `baselines.md` into the folder `--to` after each seed: means over seeds with half of
their 95 % t intervals; * is the best, ~ what the seeds cannot tell from it (Welch's interval of the difference holds
0).
"""

import argparse
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from worldmodels.cli import guarded
from worldmodels.compare.report import in_short
from worldmodels.compare.statistics import estimates
from worldmodels.config import Config
from worldmodels.evaluate import RANDOM, Row, read_scores
from worldmodels.files import write_text
from worldmodels.metrics import say
from worldmodels.options import load_config
from worldmodels.pipeline import stages
from worldmodels.render.summary import duration
from worldmodels.runs import Run


def trained(folder: Path, config: Config) -> Run:
    """A run of which all stages are finished, now or before, without films."""
    run = Run(folder, config)
    folder.mkdir(parents=True, exist_ok=True)
    for title, stage in stages(run, films=False):
        say(f"{folder.name}: {title}")
        stage()
    return run


def table(runs: Mapping[int, Run]) -> str:
    """The scores so far as Markdown, a row a controller and a column a seed."""
    scores = {seed: {row.agent: row for row in read_scores(run) if row.world == "real"} for seed, run in runs.items()}
    names = next(iter(scores.values()))
    means = estimates({name: [rows[name].mean for rows in scores.values()] for name in names}, "higher")
    headings = ("controller", *(f"seed {seed}" for seed in runs), "mean", "steps", "time")
    lines = [headings, ("---", *["---:"] * (len(headings) - 1))]
    for name in names:
        rows = [scores[seed][name] for seed in runs]
        lines.append((name, *map(_cell, rows), in_short(means[name]), *_effort(name, runs.values())))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(row: Row) -> str:
    return f"{row.mean:.0f} ± {row.std:.0f}"


def _effort(name: str, runs: Iterable[Run]) -> tuple[str, str]:
    """Game steps and time of a controller's evolution, means over seeds."""
    if name == RANDOM:
        return "", ""
    evolved = [run.controller(name) for run in runs]
    steps = np.mean([stage.summary()["steps"] for stage in evolved])
    return f"{steps / 1e6:.2f} M", duration(float(np.mean([stage.seconds() for stage in evolved])))


def measure(options: argparse.Namespace) -> None:
    """Train from each seed, and write and print the table so far."""
    runs: dict[int, Run] = {}
    for seed in options.seeds:
        config = dataclasses.replace(load_config(options.config), seed=seed)
        runs[seed] = trained(options.to / f"seed-{seed}", config)
        told = table(runs)
        write_text(options.to / "baselines.md", told)
        print(told)


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--config", nargs="+", default=["car_racing", "baselines"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    guarded(lambda: measure(options))


if __name__ == "__main__":
    main()
