"""What is compared: registered models, each perhaps with options of its own."""

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from worldmodels.config import Config, VisionConfig
from worldmodels.errors import UserError
from worldmodels.options import parse_yaml, to_dict, typed
from worldmodels.vision.base import build_vision


@dataclass(frozen=True)
class Variant:
    """A model in V's place.

    Attributes:
        label: as it was asked for, e.g. `vae,beta=4`.
        vision: its options.
    """

    label: str
    vision: VisionConfig

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return re.sub(r"[^A-Za-z0-9_.=+-]", "_", self.label)


def variants(config: Config) -> list[Variant]:
    """The variants that `compare.models` names.

    Raises:
        UserError: a model does not exist, has no such option, or two are the same.
    """
    found = [Variant(label, _options(config, label)) for label in config.compare.models]
    folders = [variant.folder for variant in found]
    if twice := [variant.label for variant in found if folders.count(variant.folder) > 1]:
        raise UserError(f"compare.models names {twice[0]} twice.")
    if not found:
        raise UserError("compare.models is empty: name the models to compare.")
    for variant in found:
        build_vision(variant.vision)  # refuses what does not exist before any work
    return found


def _options(config: Config, label: str) -> VisionConfig:
    """V's options of a variant: the run's, as far as its model shares them, and its own."""
    model, *pairs = label.split(",")
    shared = to_dict(config.vision)
    if model != config.vision.model:
        common = {field.name for field in dataclasses.fields(VisionConfig)}
        shared = {name: value for name, value in shared.items() if name in common}
    where = f"compare.models: {label}"
    own = _pairs(pairs, where)
    if "validation_fraction" in own:
        raise UserError(f"{where}: all models hold out the same episodes: give --vision.validation-fraction instead.")
    return typed(VisionConfig, shared | {"model": model} | own, where)


def _pairs(pairs: Sequence[str], where: str) -> dict[str, object]:
    own = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name == "model":
            raise UserError(f"{where}: write options as `NAME,option=value`.")
        own[name.strip().replace("-", "_")] = parse_yaml(value, f"{where}: {value}")
    return own
