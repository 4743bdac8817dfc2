"""What is written down beside a result: which layout it has, what it was made from, and a name for all of it."""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worldmodels.errors import UserError

SCHEMA = 1
"""Version of the layout of runs and checkpoints."""
PACKAGES = ("worldmodels", "torch", "gymnasium", "box2d", "vizdoom", "cma", "ray", "pylance", "numpy")


def check_schema(found: object, where: Path) -> None:
    """Raise UserError unless what `where` holds is laid out as this version reads it; a newer layout is named."""
    if isinstance(found, int) and found > SCHEMA:
        raise UserError(
            f"{where} was made by a newer version of this project (schema {found}, and this one reads {SCHEMA}): "
            "update worldmodels."
        )
    if found != SCHEMA:
        raise UserError(f"{where} was made by another version of this project: it is of schema {found}, not {SCHEMA}.")


def fingerprint_of(record: Mapping[str, Any], digests: Mapping[str, str], summary: Any) -> str:
    """Digest of what a stage was made from, of its files, and of what it reports."""
    named = json.dumps([record["options"], record["upstream"], digests, summary], sort_keys=True)
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def first_difference(old: Any, new: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """The first place at which two nested options differ, if possible one that both have: its key and both values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}, key=lambda name: (name not in old or name not in new, name)):
            here = first_difference(old.get(name), new.get(name), f"{key}.{name}" if key else name)
            if here:
                return here
        return None
    return None if old == new else (key, old, new)


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found
