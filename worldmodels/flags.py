"""Flags into options, and one sentence for a flag whose value is of the wrong type."""

import contextlib
import dataclasses
import io
import re
import sys
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from worldmodels.errors import UserError

WORDS = {
    int: "whole number",
    float: "number",
    bool: "True or False",
    str: "text",
    Path: "path",
    types.NoneType: "None",
}


def parse_flags(options: type, description: str) -> tuple[Any, list[str]]:
    """An instance of a dataclass from the command line's flags, and the arguments that none of its fields takes.

    Raises:
        UserError: a flag lacks its value or has one of the wrong type, or one that is needed is missing.
        SystemExit: the help was asked for, and printed.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                options, description=description, config=(tyro.conf.FlagConversionOff,), return_unknown_args=True
            )
    except SystemExit as ended:
        if not ended.code:
            raise
        raise UserError(_complaint(options, said.getvalue(), sys.argv[1:])) from None


def _complaint(options: type, said: str, arguments: Sequence[str]) -> str:
    """The sentence for what tyro, in a box of many lines, says is wrong with the arguments."""
    text = " ".join(re.sub(r"[^\x20-\x7e\n]", " ", said).split())
    for flag in re.findall(r"(?<![\w./-])--[a-z][\w.-]*\w", text):
        kind = _kind(options, flag.removeprefix("--").replace("-", "_").split("."))
        if kind is None:
            continue
        given = _given(flag, arguments)
        if given is None:
            return f"{flag} has to be given: it takes {words(kind)}."
        return f"{flag} takes {words(kind)}" + (f", not {' '.join(given)}." if given else ", and has no value.")
    return text


def _kind(options: Any, names: Sequence[str]) -> Any:
    """Type of the field, or of the entry of a dict, with a dotted name; None if there is no such field."""
    for name in names:
        if typing.get_origin(options) is dict:
            options = typing.get_args(options)[1]
        elif dataclasses.is_dataclass(options):
            options = typing.get_type_hints(options).get(name)
        else:
            return None
    return options


def _given(flag: str, arguments: Sequence[str]) -> list[str] | None:
    """The values that follow a flag; None if it is not among the arguments."""
    for index, argument in enumerate(arguments):
        name, _, value = argument.replace("_", "-").partition("=")
        if name == flag:
            following = [argument[len(name) + 1 :]] if value else []
            for other in arguments[index + 1 :]:
                if other.startswith("--"):
                    break
                following.append(other)
            return following
    return None


def words(kind: Any) -> str:
    """What a type is called by people, e.g. "2 whole numbers or None"."""
    origin, arms = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return words(arms[0])
    if origin is Literal:
        return "one of " + ", ".join(map(str, arms))
    if origin in (types.UnionType, typing.Union):
        return ", or ".join(words(arm) for arm in arms)
    if origin is tuple:
        count = "any number of values" if arms[1:] == (...,) else f"{len(arms)} values"
        return f"{count}, each {words(arms[0])}"
    plain = WORDS.get(kind, getattr(kind, "__name__", str(kind)))
    return plain if plain in ("True or False", "None", "text") else f"a {plain}"
