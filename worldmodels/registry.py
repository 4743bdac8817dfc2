"""Models of V by name, each with the options that it reads; found when first asked for, from here or from anywhere."""

import dataclasses
import difflib
import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any, TypeVar

from worldmodels.config import VisionConfig
from worldmodels.errors import UserError

BUILT_IN = {
    "vae": "worldmodels.vision.vae",
    "autoencoder": "worldmodels.vision.autoencoder",
    "gan": "worldmodels.vision.gan",
    "vae_gan": "worldmodels.vision.vae_gan",
    "bigan": "worldmodels.vision.bigan",
    "fsq": "worldmodels.vision.fsq",
}
"""The models of this package, and the modules that register them."""
ENTRY_POINTS = "worldmodels.vision"
"""Group of entry points under which other packages offer models."""
_REGISTERED: dict[str, Any] = {}
Model = TypeVar("Model", bound=type)


def register_vision(name: str) -> Callable[[Model], Model]:
    """Class decorator: make a `VisionModel` available as `--vision.model NAME`.

    Its class attribute `Config`, a dataclass derived from `VisionConfig`, holds the options that only this model reads.
    Raises UserError for the name of a model of this package, which would be the one or the other by chance.
    """

    def register(model: Model) -> Model:
        if BUILT_IN.get(name, model.__module__) != model.__module__:
            raise UserError(f"{name} is a model's name in {BUILT_IN[name]}: give {model.__qualname__} another one.")
        _REGISTERED[name] = model
        return model

    return register


def vision_models() -> list[str]:
    """Names of all models that are built in, registered, or offered by a package that is installed."""
    return sorted({*BUILT_IN, *_REGISTERED, *_offered()})


def _offered() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def vision_model(name: str) -> Any:
    """The class of the model `name`.

    Raises UserError with the known names, the nearest first, if there is none, and if it cannot be loaded.
    """
    if name not in _REGISTERED and name in BUILT_IN:
        importlib.import_module(BUILT_IN[name])
    if name not in _REGISTERED and name in (offered := _offered()):
        _REGISTERED[name] = _loaded(offered[name])
    if name not in _REGISTERED:
        names = vision_models()
        known = difflib.get_close_matches(name, names, n=len(names), cutoff=0.0)
        raise UserError(
            f"There is no vision model {name}: the known ones are {', '.join(known)}; "
            f"one of your own has to be imported first, or offered as an entry point of the group {ENTRY_POINTS}."
        )
    return _REGISTERED[name]


def _loaded(offer: importlib.metadata.EntryPoint) -> Any:
    try:
        return offer.load()
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"The vision model {offer.name} is to be {offer.value}, which cannot be loaded ({error}): "
            "install again the package that offers it."
        ) from error


def vision_options(name: str) -> type[VisionConfig]:
    """The dataclass of all options that the model `name` reads."""
    kind: type[VisionConfig] = vision_model(name).Config
    return kind


def complete(config: VisionConfig) -> VisionConfig:
    """The same options as the dataclass of `config.model`: those that it lacks at their defaults, others left out."""
    kind = vision_options(config.model)
    if type(config) is kind:
        return config
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in vars(config).items() if name in names})
