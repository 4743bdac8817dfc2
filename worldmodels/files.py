"""Files that are written whole or not at all, and read only if they are what they should be."""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from worldmodels.errors import UserError

MAX_JSON = 16 * 2**20
"""A JSON file, or a line of JSON, with more bytes is refused unread."""


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place, complete and on disk, when the block ends without error.

    The folder goes to disk too: even after a power cut it holds either the old file or the new one, whole.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)  # some writers make files that only their owner can read
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def clear_unfinished(folder: Path) -> None:
    """Remove what a kill left half-written in a folder; nobody else may be writing there."""
    for stale in folder.glob(".*.[0-9]*.tmp*"):
        if stale.is_file():
            stale.unlink()


def write_text(path: Path, text: str) -> None:
    """Write text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def plain_file(path: Path, limit: int) -> Path:
    """The path of a regular file of at most `limit` bytes; UserError otherwise, before any of it is read.

    What is no file, such as a pipe or a device, may never end.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path} cannot be read: it is no file.")
    if status.st_size > limit:
        raise UserError(f"{path} is larger than {limit:,} bytes, as no such file of this project is: it is not read.")
    return path


def read_text(path: Path, limit: int = MAX_JSON) -> str:
    """The text in a file; UserError if it is missing, no file, too large, or no UTF-8."""
    try:
        return plain_file(path, limit).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from error


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; UserError if it is missing or damaged."""
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it should hold a JSON object.")
    return content


def whole_lines(path: Path) -> Iterator[str]:
    """The lines of a file, if there is one, without one at its end that a kill tore; UserError if one is too long."""
    if not path.exists():
        return
    with plain_file(path, 2**40).open(encoding="utf-8", errors="replace", newline="\n") as file:
        while line := file.readline(MAX_JSON):
            if line.endswith("\n"):
                yield line[:-1]
            elif len(line) == MAX_JSON:
                raise UserError(f"{path} is damaged: one of its lines is longer than {MAX_JSON:,} characters.")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
