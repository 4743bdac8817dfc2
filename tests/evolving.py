"""Controllers evolved on a finished run of the counting game."""

import dataclasses

from worldmodels.config import Config
from worldmodels.evolution.train import train_controller
from worldmodels.runs import Run


def with_controller(config: Config, name: str, **options: object) -> Config:
    base = config.controllers.get(name, config.controllers["real"])
    return dataclasses.replace(config, controllers=config.controllers | {name: dataclasses.replace(base, **options)})


def evolve(copy: Run, name: str, **options: object) -> Run:
    run = Run(copy.folder, with_controller(copy.config, name, **options))
    train_controller(run, name)
    return run
