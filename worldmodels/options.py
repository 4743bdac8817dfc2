"""Options from YAML files and back: layered, strictly checked, with sentences for what is wrong."""

import contextlib
import dataclasses
import difflib
import itertools
import types
import typing
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from worldmodels.config import ANYTIME, Config, ControllerConfig, VisionConfig
from worldmodels.errors import UserError
from worldmodels.files import read_text
from worldmodels.registry import vision_options

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
"""Folder of the presets that can be named without a path."""
MAX_BYTES = 200_000
"""A larger YAML file is refused unread: reading one takes its time."""
Section = TypeVar("Section")


def load_config(files: Sequence[str | Path], base: Mapping[str, Any] | None = None) -> Config:
    """The options of `base` with those of each YAML file laid over it in turn.

    A file is a path, or the name of one in `configs/` without its ending; the one that it names as its `base` lies
    below it. Raises UserError for an unknown key (naming the nearest known one), a value of the wrong type or range,
    and a file that is missing, too large, no YAML, or its own base.
    """
    merged: dict[str, Any] = dict(base or {})
    for path, layer in itertools.chain.from_iterable(map(_layers, files)):
        merged = lay_over(merged, layer, str(path))
    return validate(merged, " + ".join(str(file) for file in files) or "the options")


def names_a_game(files: Sequence[str | Path]) -> bool:
    """Whether one of these config files, or of those below them, says which game is played."""
    layers = itertools.chain.from_iterable(map(_layers, files))
    return any("env" in layer["task"] for _, layer in layers if isinstance(layer.get("task"), Mapping))


def lay_over(below: Mapping[str, Any], layer: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Nested options with a layer over them, whose keys are checked against those of the model that is V then.

    Raises UserError, which begins with `where`, for an unknown key.
    """
    merged = merge(below, layer)
    kind = _vision_kind(merged)
    check_keys(layer, where, chosen={VisionConfig: kind})
    if kind is not _vision_kind(below) and isinstance(layer["vision"], Mapping):
        _forget_other_models(merged, layer, kind)
    return merged


def _layers(file: str | Path) -> Sequence[tuple[Path, dict[str, Any]]]:
    """A config file with all those below it, the lowest first: their paths, and what they hold beside `base`."""
    found: dict[Path, dict[str, Any]] = {}
    name: Any = file
    while name is not None:
        path = find_config(name)
        if path in found:
            raise UserError(f"{path} is its own `base`: leave that out of one of {', '.join(map(str, found))}.")
        found[path] = read_yaml(path)
        name = found[path].pop("base", None)
        if not isinstance(name, str | None):
            raise UserError(f"{path}: base should be the name of one config, but it is {name!r}.")
    return list(reversed(found.items()))


def _vision_kind(options: Mapping[str, Any]) -> type[VisionConfig]:
    """The dataclass of the options that the chosen vision model reads."""
    section = options.get("vision")
    return vision_options(str((section if isinstance(section, Mapping) else {}).get("model", VisionConfig.model)))


def _forget_other_models(merged: dict[str, Any], layer: Mapping[str, Any], kind: type[VisionConfig]) -> None:
    """Where a file names another model than those below it, the options that only theirs reads do not count."""
    known = {field.name for field in dataclasses.fields(kind)}
    merged["vision"] = {k: v for k, v in merged["vision"].items() if k in known or k in layer["vision"]}


def find_config(name: str | Path) -> Path:
    """Path of a YAML file given by path, or by its name in `configs/` without its ending (`laptop/car_racing`)."""
    path = Path(name)
    with contextlib.suppress(OSError):  # of a name that is too long for a file
        if path.suffix in {".yaml", ".yml"} and path.is_file():
            return path
        preset = CONFIGS / f"{name}.yaml"
        if not path.is_absolute() and ".." not in path.parts and preset.is_file():
            return preset
    known = ", ".join(preset_names())
    raise UserError(f"There is no config {name}: give the path of a YAML file, or one of {known}.")


def preset_names() -> list[str]:
    """Names of the files in `configs/`."""
    return sorted(file.relative_to(CONFIGS).with_suffix("").as_posix() for file in CONFIGS.rglob("*.yaml"))


def game_names() -> list[str]:
    """Names of those in `configs/` that describe a game."""
    return [name for name in preset_names() if "task" in read_yaml(CONFIGS / f"{name}.yaml")]


class _PlainLoader(yaml.SafeLoader):
    """YAML without aliases (whose expansion can be made to fill memory) and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, count in keys.items():
            if count > 1:
                raise yaml.YAMLError(f"the key {key} stands twice")
        return super().construct_mapping(node, deep)


def _whole_number(loader: _PlainLoader, node: yaml.ScalarNode) -> int:
    number = loader.construct_yaml_int(node)
    if abs(number) >= 2**63:  # 1:59:59:... is a number of any size to YAML
        raise yaml.YAMLError("a number is larger than any option may be")
    return number


_PlainLoader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, read as plain data."""
    content = parse_yaml(read_text(path, MAX_BYTES), str(path))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{path} should hold sections such as `vision:`, not a single {type(content).__name__}.")
    return content


def parse_yaml(text: str, where: str) -> Any:
    """What YAML text stands for, as plain data; UserError if it is no YAML."""
    try:
        return yaml.load(text, Loader=_PlainLoader)  # a SafeLoader: plain data only
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{where} cannot be read as YAML: {error}.") from error


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, mapping by mapping; environment keyword arguments are replaced whole."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both and not str(key).endswith("kwargs") else value
    return merged


def check_keys(layer: Any, where: str, kind: Any = Config, chosen: Mapping[Any, Any] | None = None) -> None:
    """Raise UserError for the first key of a nested mapping that the options of type `kind` do not have.

    `chosen` says which dataclass stands in another's place (that of the vision model in `VisionConfig`'s).
    """
    kind = (chosen or {}).get(kind, kind) if isinstance(kind, type) else kind
    if typing.get_origin(kind) is dict and isinstance(layer, Mapping):
        for name, entry in layer.items():
            check_keys(entry, f"{where}: {name}", typing.get_args(kind)[1])
    if not dataclasses.is_dataclass(kind) or not isinstance(layer, Mapping):
        return
    hints = typing.get_type_hints(kind)
    for key, value in layer.items():
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1, cutoff=0.0)
            raise UserError(f"{where}: there is no option `{key}`; did you mean `{near[0]}`?")
        check_keys(value, f"{where}: {key}", hints[key], chosen)


_ADAPTER: TypeAdapter[Config] = TypeAdapter(Config)


def typed(kind: type[Section], options: Mapping[str, Any], where: str) -> Section:
    """One section's dataclass from plain data, checked like `load_config` checks; V's is that of the model named."""
    if kind is VisionConfig:
        kind = cast(type[Section], _vision_kind({"vision": options}))
    check_keys(options, where, kind)
    return _checked(TypeAdapter(kind), options, where)


def validate(options: Mapping[str, Any], where: str) -> Config:
    """The typed options of a nested mapping; types and ranges are checked."""
    if isinstance(section := options.get("vision"), Mapping):
        adapter = TypeAdapter(_vision_kind(options))
        options = {**options, "vision": _checked(adapter, section, where, ["vision"])}
    return _checked(_ADAPTER, options, where)


def _checked(adapter: TypeAdapter[Section], options: Mapping[str, Any], where: str, at: Sequence[str] = ()) -> Section:
    try:
        return adapter.validate_python(options)
    except ValidationError as error:
        first = error.errors()[0]
        # where an option may be a dict or a list, pydantic adds which of them it tried, e.g. dict[str,any]
        key = ".".join(part for part in map(str, (*at, *first["loc"])) if "[" not in part)
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise UserError(f"{where}: {key}: {reason}, but it is {first['input']!r}.") from error


def to_dict(config: Any) -> dict[str, Any]:
    """Nested plain data (dict, list, numbers, strings) of a config dataclass."""
    return _plain(dataclasses.asdict(config))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def identity(config: Any) -> dict[str, Any]:
    """The options of a config dataclass that decide its stage's result, without those that may change any time."""
    hints = typing.get_type_hints(type(config), include_extras=True)
    anytime = {name for name, hint in hints.items() if ANYTIME in _annotations(hint)}
    return {name: value for name, value in to_dict(config).items() if name not in anytime}


def departures(config: Any) -> dict[str, Any]:
    """The options of `identity` that are not at their defaults: what names a thing, whatever options come later."""
    plain = to_dict(type(config)())
    return {name: value for name, value in identity(config).items() if value != plain[name]}


def completed(recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's recorded options, and those that are asked for and did not exist at the time, at their defaults."""
    kinds = {**typing.get_type_hints(Config), "controller": ControllerConfig}
    whole = dict(recorded)
    for name in kinds.keys() & asked.keys():
        section = asked[name]
        if isinstance(section, Mapping) and isinstance(recorded.get(name), Mapping):
            kind = _vision_kind(recorded) if name == "vision" else kinds[name]
            defaults = to_dict(kind())
            whole[name] = {key: defaults[key] for key in section if key in defaults} | dict(recorded[name])
    return whole


def _annotations(hint: Any) -> Iterator[Any]:
    if typing.get_origin(hint) is typing.Annotated:
        yield from hint.__metadata__
    elif isinstance(hint, types.UnionType):
        for arm in typing.get_args(hint):
            yield from _annotations(arm)


def write_yaml(config: Config) -> str:
    """A config as YAML text that `load_config` reads back to the same options."""
    return yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)
