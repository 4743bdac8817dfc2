"""Iterative training (section 5 of the paper): runs that follow one another, each going on from the last."""

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

from worldmodels.config import Config, Part
from worldmodels.errors import UserError
from worldmodels.options import identity, lay_over, to_dict, validate
from worldmodels.previous import recorded_run
from worldmodels.runs import Run

FOLDER = "iterations"
"""Where the second and all later iterations of a run are, by their numbers."""


def iterations(run: Run) -> list[Run]:
    """The runs of `iterations` iterations: the run itself, then those in its folder `iterations`.

    Iterations that have begun keep their explorer, and their stages that have begun their options, but for those that
    may change any time.

    Raises UserError if there is no controller to collect the next iteration's episodes with.
    """
    runs, controllers = [run], run.config.controllers
    explorer = run.config.explorer or next(iter(controllers), None)
    if run.config.iterations > 1 and explorer not in controllers:
        known = ", ".join(controllers) or "none"
        raise UserError(f"The next iteration needs a controller to collect with: explorer is {explorer}, of {known}.")
    for number in range(2, run.config.iterations + 1):
        folder = run.folder / FOLDER / str(number)
        begun = recorded_run(folder)
        if begun is None or begun.config.collect.agent is None:
            runs.append(next_run(runs[-1], str(explorer), folder))
        else:
            asked = next_run(runs[-1], Path(begun.config.collect.agent).name, folder)
            runs.append(Run(folder, _as_begun(begun, asked.config)))
    return runs


def _as_begun(run: Run, asked: Config) -> Config:
    """What is asked for, with what decides the results of the run's stages that have begun as it was then."""
    begun = run.config
    stages = {"collect": run.rollouts, "vision": run.vision, "memory": run.memory}
    sections: dict[str, Any] = {
        name: _section_as_begun(getattr(begun, name), getattr(asked, name))
        for name, stage in stages.items()
        if stage.started
    }
    kept = {name for name in begun.controllers if run.controller(name).started}
    controllers = {
        name: _section_as_begun(begun.controllers[name], config) if name in kept else to_dict(config)
        for name, config in asked.controllers.items()
    }
    parts_begun = [*sections.keys() - {"collect"}, *(["controllers"] if kept else [])]
    anew = _anew_as_begun(begun.anew, asked.anew, parts_begun)
    return validate({**to_dict(asked), **sections, "controllers": controllers, "anew": anew}, "iterations")


def _anew_as_begun(begun: Part | None, asked: Part | None, parts_begun: Collection[str]) -> Part | None:
    """From where on to begin anew, as it is asked for, if the parts that have begun leave the choice."""
    if begun in parts_begun:
        return begun
    if asked not in parts_begun:
        return asked
    return next((part for part in get_args(Part) if part not in parts_begun), None)


def _section_as_begun(begun: Any, asked: Any) -> dict[str, Any]:
    kept, wanted = to_dict(begun), to_dict(asked)
    anytime = kept.keys() & wanted.keys() - identity(asked).keys()
    return kept | {name: wanted[name] for name in anytime}


def next_run(run: Run, controller: str, folder: Path) -> Run:
    """The run, in a folder of its own, that is another iteration of training after this one.

    It adds to this run's rollouts episodes that this run's agent plays, and its V, M and C begin at this run's, but for
    what is to begin `anew`. It has a seed of its own, so that C meets other episodes. Raises UserError if `later` holds
    what is no option of a section.
    """
    agent, before, config = str(run.controller(controller).folder), str(run.folder), _later(run.config)
    collect = dataclasses.replace(config.collect, policy="agent", agent=agent, onto=before)
    seed = config.seed + 1
    return Run(folder, dataclasses.replace(config, collect=collect, seed=seed, previous=before, iterations=1))


def _later(config: Config) -> Config:
    """The options of the next iteration: of a list, the first entry laid over them; the last one stays in the list."""
    now, *rest = config.later if isinstance(config.later, list) else [config.later]
    for name in now:
        if not dataclasses.is_dataclass(getattr(config, name, None)) and name not in ("controllers", "anew"):
            raise UserError(
                f"later: {name} is no section of options: it may hold collect, vision, controllers and so on, and anew."
            )
    later = validate(lay_over(to_dict(config), now, "later"), "later")
    policy = now.get("collect", {}).get("policy", "agent")
    if policy != "agent":
        raise UserError(f"later: collect.policy is {policy}, but the agent collects in later iterations: leave it out.")
    return dataclasses.replace(later, later=rest or config.later)


def lineage(run: Run) -> list[Run]:
    """The run after all those that it goes on from, the first of them first; those that are gone are left out."""
    runs, seen = [run], {run.folder.resolve()}
    while (name := runs[0].config.previous) is not None and Path(name).resolve() not in seen:
        seen.add(Path(name).resolve())
        before = recorded_run(Path(name))
        if before is None:
            break
        runs.insert(0, before)
    return runs
