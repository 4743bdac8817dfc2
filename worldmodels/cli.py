"""The command line of every stage: options from presets, from the run and from flags; errors as sentences."""

import argparse
import ast
import dataclasses
import difflib
import inspect
import itertools
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from safetensors import SafetensorError

from worldmodels.agent import read_task
from worldmodels.config import Config
from worldmodels.disk import failed_write
from worldmodels.errors import UserError
from worldmodels.flags import parse_flags
from worldmodels.options import game_names, load_config, merge, names_a_game, to_dict, validate
from worldmodels.process import keep_freed_memory
from worldmodels.runs import Run, stored_options
from worldmodels.stopping import Terminated, stops_cleanly

RUN_HELP = "Folder of the run; made if it is new. Its recorded options are the defaults of every later call."
DEFAULT_RUNS = Path("runs")
STDOUT = 1
"""Descriptor of standard output, which tests have something else in the place of."""
CONFIG_HELP = "YAML files, or names of those in configs/, laid one over the other: e.g. `car_racing quick`."


def stage_main(stage: Callable[..., Any], sections: Sequence[str], **extras: tuple[Any, Any, str]) -> None:
    """Parse the command line and call `stage(run, **extras)`.

    Options are looked up in this order, later ones winning: defaults, the run's recorded options, `--config` files,
    flags.

    Args:
        stage: what to do; its docstring is the help text's first line.
        sections: the sections of `Config` that have flags.
        extras: further flags of the script: name = (type, default, help).
    """
    guarded(lambda: _parse_and_call(stage, sections, extras))


def guarded(work: Callable[[], object]) -> None:
    """Run a script's work; errors meant for people become one sentence on standard error and exit status 2.

    So do Ctrl-C (status 130) and SIGTERM (143), after which nothing is left running. If whoever read the output has
    left, as `head` does, nothing more is said (141).
    """
    keep_freed_memory()
    try:
        with stops_cleanly():
            work()
            sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_has_left():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)  # what is not yet written goes there
        sys.exit(128 + signal.SIGPIPE)
    except UserError as error:
        fail(str(error))
    except KeyboardInterrupt as error:
        stopped = 143 if isinstance(error, Terminated) else 130
        fail("Stopped. Repeat the command to go on from what is saved.", stopped)
    except (OSError, SafetensorError, RuntimeError, ValueError, MemoryError) as error:
        if _is_out_of_memory(error):
            fail("This needs more memory than there is: ask for smaller sizes, batches or populations.")
        reason = failed_write(error)
        if reason is None:
            raise
        fail(f"{reason}. What is finished is kept: repeat the command once that is mended.")


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory was refused, to numpy, to torch (which says it in words only) or on a GPU."""
    words = "DefaultCPUAllocator: can't allocate memory"
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or words in str(error)


def _reader_has_left() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(STDOUT, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def fail(sentence: str, status: int = 2) -> None:
    """Print a sentence to standard error and exit."""
    print(sentence, file=sys.stderr)
    sys.stdout.flush()
    sys.exit(status)


def _parse_and_call(
    stage: Callable[..., Any], sections: Sequence[str], extras: dict[str, tuple[Any, Any, str]]
) -> None:
    look = _first_look(sys.argv[1:])
    # no run that somebody trains is called so: scores and videos of a checkpoint replace nobody's
    folder = look.run or (DEFAULT_RUNS / f"checkpoint-{look.checkpoint.resolve().name}" if look.checkpoint else None)
    base = stored_options(folder) if folder else {}
    if look.checkpoint:
        base["task"] = to_dict(read_task(look.checkpoint))
    config = load_config(look.config, base) if look.config or base else load_config(["car_racing"])
    if look.model is not None:
        config = dataclasses.replace(config, vision=dataclasses.replace(config.vision, model=look.model))
    required: dict[str, Any] = {} if folder is None else {"default": folder}
    fields: list[Any] = [
        ("run", Annotated[Path, tyro.conf.arg(help=RUN_HELP)], dataclasses.field(**required)),
        ("config", Annotated[tuple[str, ...], tyro.conf.arg(help=CONFIG_HELP)], ()),
    ]
    for name, (kind, default, text) in extras.items():
        fields.append((name, Annotated[kind, tyro.conf.arg(help=text)], default))
    known = {field.name: field.type for field in dataclasses.fields(Config)} | {"vision": type(config.vision)}
    texts = option_texts()
    for name in sections:
        kind = known[name]
        if name in texts:  # a section says itself what its options are
            kind = Annotated[kind, tyro.conf.arg(help=texts[name])]
        fields.append((name, kind, dataclasses.field(default_factory=partial(getattr, config, name))))
    description = " ".join((stage.__doc__ or "").split("\n\n")[0].split())
    options = dataclasses.make_dataclass("Options", fields, frozen=True)
    parsed, unknown = parse_flags(options, description)
    given = to_plain({name: getattr(parsed, name) for name in sections})
    _refuse(unknown, list(flag_names({"run": None, "config": None, **given, **extras})))
    if "task" in sections and look.config and not base:
        _require_game(look.config, sys.argv[1:])
    resolved = validate(merge(to_dict(config), given), "The command line")
    stage(Run(parsed.run, resolved), **{name: getattr(parsed, name) for name in extras})


def _require_game(configs: Sequence[str], arguments: Sequence[str]) -> None:
    """Raise UserError if the configs of a new run leave open which game is played, and no flag names it either."""
    if names_a_game(configs) or any(argument.split("=")[0] == "--task.env" for argument in arguments):
        return
    above = " ".join(configs)
    raise UserError(
        f"--config {above} names no game to begin a new run with: put a game's config before it, e.g. --config "
        f"car_racing {above}, one of your own, or one of {', '.join(game_names())}."
    )


def option_texts() -> dict[str, str]:
    """What `Config` says of its options that are no sections, e.g. `previous`."""
    [body] = [node.body for node in ast.parse(inspect.getsource(Config)).body if isinstance(node, ast.ClassDef)]
    return {
        option.target.id: " ".join(text.value.value.split())
        for option, text in itertools.pairwise(body)
        if isinstance(option, ast.AnnAssign) and isinstance(option.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def _refuse(unknown: Sequence[str], known: Sequence[str]) -> None:
    """Raise UserError for arguments that no option takes, naming the nearest one."""
    if not unknown:
        return
    flag = next((argument for argument in unknown if argument.startswith("-")), None)
    if flag is None:
        raise UserError(f"{unknown[0]} belongs to no option: a value follows its --option. --help lists all.")
    flag = flag.split("=")[0]
    near = difflib.get_close_matches(flag, known, n=1, cutoff=0.0)[0]
    raise UserError(f"There is no option {flag}; did you mean {near}? --help lists all.")


def flag_names(options: Mapping[str, Any], prefix: str = "--") -> Iterator[str]:
    """Flags of nested options, e.g. `--vision.latent-dim`."""
    for key, value in options.items():
        name = f"{prefix}{key.replace('_', '-')}"
        if isinstance(value, Mapping):
            yield from flag_names(value, f"{name}.")
        else:
            yield name


def to_plain(value: Any) -> Any:
    """Nested plain data of a section: a dataclass, the controllers by name, or a single value."""
    if isinstance(value, dict):
        return {name: to_plain(entry) for name, entry in value.items()}
    return to_dict(value) if dataclasses.is_dataclass(value) else value


def _first_look(arguments: Sequence[str]) -> argparse.Namespace:
    """The run, checkpoint, config files and vision model among the arguments: they decide what options there are."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--run", type=Path, nargs="?")
    parser.add_argument("--checkpoint", type=Path, nargs="?")
    parser.add_argument("--config", nargs="*", action="extend", default=[])
    parser.add_argument("--vision.model", dest="model", nargs="?")
    return parser.parse_known_args(arguments)[0]
