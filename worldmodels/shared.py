"""Folders that several commands may write to at once."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from worldmodels.errors import UserError
from worldmodels.files import clear_unfinished


@contextlib.contextmanager
def shared_folder(folder: Path) -> Iterator[Path]:
    """Be one of those who write into a folder, made if it is new; what a kill left there goes if there is no other.

    Who writes holds the folder's lock with the others, which the kernel frees even when a process is killed. Where
    there are no such locks, nothing is removed.

    Raises:
        UserError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            clear_unfinished(folder)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield folder
    finally:
        os.close(descriptor)
