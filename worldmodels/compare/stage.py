"""Several models in V's place: everything else the same, several times over, and all of it measured."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worldmodels.collect import collect_rollouts
from worldmodels.compare.links import share_stage
from worldmodels.compare.report import write_comparison
from worldmodels.compare.rows import Result
from worldmodels.compare.variants import Variant, variants
from worldmodels.data.labels import label_rollouts
from worldmodels.errors import UserError
from worldmodels.evaluate import SCORES, evaluate
from worldmodels.evolution.train import train_controller
from worldmodels.files import read_json
from worldmodels.measure import measure_vision
from worldmodels.memory.train import train_memory
from worldmodels.metrics import say
from worldmodels.options import identity, load_config
from worldmodels.records import first_difference
from worldmodels.runs import Run, stored_options
from worldmodels.vision.train import train_vision, trained_vision

MODELS = "models"


def compare_vision(run: Run, rollouts: Path | None = None) -> None:
    """Train and measure several models in V's place on the same rollouts, with several seeds, and write the table.

    Each model and seed is a run of its own in `models/`, with all its stages; the rollouts and their labels are the
    comparison's, and linked. The table in `comparison/` is written anew after each of them. Can be killed and called
    again at any time, and with more models or seeds once it is finished.

    Args:
        run: the comparison; its options are those of every run in it.
        rollouts: folder of another run whose rollouts are used, rather than new ones.

    Raises:
        UserError: a model does not exist, an earlier call had other options, or the other run has no such rollouts.
    """
    compared = variants(run.config)
    with run.comparison.begin({}):
        _provide_rollouts(run, rollouts)
        labels = label_rollouts(run)
        results: list[Result] = []
        members = list(_members(run, compared))
        for number, (variant, member) in enumerate(members, 1):
            say(f"[{number}/{len(members)}] {variant.label}, seed {member.config.seed}")
            share_stage(member.rollouts, run.rollouts)
            if labels is not None:
                share_stage(member.labels, run.labels)
            results.append(Result(variant.label, member.config.seed, _made_and_measured(member)))
            write_comparison(run, labels, compared, results)


def _provide_rollouts(run: Run, source: Path | None) -> None:
    """Collect the rollouts, or link those of another run of the same game."""
    if source is None:
        if run.rollouts.done is None or not run.rollouts.folder.is_symlink():
            collect_rollouts(run)
        return
    other = Run(source, load_config([], stored_options(source)))
    other.rollouts.summary()
    recorded = other.rollouts.options().get("task")
    if difference := first_difference(recorded, identity(run.config.task)):
        key, old, new = difference
        raise UserError(f"The rollouts in {source} are of another game: their task.{key} is {old}, not {new}.")
    share_stage(run.rollouts, other.rollouts)


def _members(run: Run, compared: list[Variant]) -> Iterator[tuple[Variant, Run]]:
    """The runs of the comparison: all models with one seed, then with the next."""
    for seed in range(run.config.seed, run.config.seed + run.config.compare.seeds):
        for variant in compared:
            config = dataclasses.replace(run.config, seed=seed, vision=variant.vision)
            yield variant, Run(run.folder / MODELS / variant.folder / f"seed-{seed}", config)


def _made_and_measured(run: Run) -> dict[str, Any]:
    """All stages of one run, and what was measured of them."""
    train_vision(run)
    scores = {}
    if trained_vision(run).encodes:
        train_memory(run)
        for name in run.config.controllers:
            train_controller(run, name)
        evaluate(run)
        rows = read_json(run.evaluation.folder / SCORES)["rows"]
        scores = {row["agent"]: row["mean"] for row in rows if row["world"] == "real"}
    return {**measure_vision(run), "scores": scores}
