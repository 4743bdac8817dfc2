"""A run's folder: its options, and a sub-folder a stage."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from worldmodels.config import Config
from worldmodels.errors import UserError
from worldmodels.files import read_text, write_text
from worldmodels.options import MAX_BYTES, identity, load_config, to_dict, write_yaml
from worldmodels.shared import shared_folder
from worldmodels.stage import Stage


class Run:
    """A folder that holds everything of one run: resolved options and one folder a stage."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.folder, self.config = folder, config

    def stage(self, name: str, label: str, command: str) -> Stage:
        """The stage in the sub-folder `name`."""
        return Stage(self.folder / name, label, command, self.record)

    @property
    def rollouts(self) -> Stage:
        """Stage 1."""
        return self.stage("rollouts", "The collection of rollouts", "scripts/collect_rollouts.py")

    @property
    def labels(self) -> Stage:
        """The game's true state at steps of the rollouts."""
        return self.stage("labels", "The labelling of the rollouts", "scripts/measure_vision.py")

    @property
    def vision(self) -> Stage:
        """Stage 2: V."""
        return self.stage("vision", "V", "scripts/train_vision.py")

    @property
    def latents(self) -> Stage:
        """Rollouts as V's posteriors, written by stage 3 before it trains M."""
        return self.stage("latents", "The encoding of the rollouts", "scripts/train_memory.py")

    @property
    def memory(self) -> Stage:
        """Stage 3: M."""
        return self.member(0)

    def member(self, number: int) -> Stage:
        """One of the Ms of stage 3; the first is the M that agents have."""
        name, label = (f"memory-{number}", f"M {number}") if number else ("memory", "M")
        return self.stage(name, label, "scripts/train_memory.py")

    @property
    def calibration(self) -> Stage:
        """The end of stage 3: M's dream beside the game."""
        return self.stage("calibration", "The comparison of dream and game", "scripts/check_dream.py")

    def controller(self, name: str) -> Stage:
        """Stage 4: the controller of that name."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
            raise UserError(f"{name!r} is no name for a controller: use letters, digits, `_`, `-` and `.`.")
        command = f"scripts/train_controller.py --name {name}"
        return self.stage(f"controllers/{name}", f"The controller {name}", command)

    @property
    def evaluation(self) -> Stage:
        """Stage 5."""
        return self.stage("evaluation", "The evaluation", "scripts/evaluate.py")

    @property
    def measures(self) -> Stage:
        """What V is worth."""
        return self.stage("measures", "The measuring of V", "scripts/measure_vision.py")

    @property
    def comparison(self) -> Stage:
        """Several models in V's place."""
        return self.stage("comparison", "The comparison", "scripts/compare_vision.py")

    @property
    def image_gan(self) -> Stage:
        """The lecture's GAN of digits, beside the stages of an agent."""
        return self.stage("image_gan", "The image GAN", "scripts/train_image_gan.py")

    def made_from(self, **options: Any) -> dict[str, Any]:
        """Options that decide a stage's result: its own, with the game and the run's seed."""
        return {"task": identity(self.config.task), "seed": self.config.seed, **options}

    def check_lineage(self, stage: Stage) -> None:
        """Raise UserError if the V, the latents or the M that a finished stage was made from are no longer the run's.

        Rollouts may have become more since; what was deleted to save space is not compared.
        """
        members = (self.member(number) for number in range(self.config.memory.members))
        sources = {source.folder.name: source for source in (self.vision, self.latents, *members)}
        for name in sorted(stage.upstream.keys() & sources.keys()):
            source = sources[name]
            if source.done is not None and source.fingerprint() != stage.upstream[name]:
                raise stage.of_another(name)
            if source.started:
                self.check_lineage(source)

    def record(self) -> Callable[[], object]:
        """Keep the options that the run was last used with, so that later stages need only `--run`.

        Returns what puts the options back that were kept before.
        """
        path = self.folder / "config.yaml"
        before = read_text(path, MAX_BYTES) if path.exists() else None
        with shared_folder(self.folder):
            write_text(path, write_yaml(self.config))
        return path.unlink if before is None else partial(write_text, path, before)


def stored_options(folder: Path) -> dict[str, Any]:
    """Options that a run was last used with, as nested plain data; empty for a new run."""
    path = folder / "config.yaml"
    return to_dict(load_config([path])) if path.is_file() else {}
