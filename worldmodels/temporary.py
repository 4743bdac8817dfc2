"""Temporary folders that are removed even if their process is killed before it can do that itself."""

import contextlib
import glob
import itertools
import os
import shutil
import tempfile
from pathlib import Path

from worldmodels.janitor import PLACE, PREFIX, watch_this_process


def temporary_folder(kind: str) -> Path:
    """A new folder for this process to remove; if it is killed, its janitor does.

    Folders of the same kind whose processes are over, and whose janitors were killed as well, are removed now. The
    name is short, because Ray's sockets, whose names may have 107 characters, live in one.
    """
    prefix, within = f"{PREFIX}{kind}-", Path(tempfile.gettempdir())
    sweep(within, prefix)
    watch_this_process()
    for number in itertools.count():
        folder = within / f"{prefix}{owner()}-{number}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            break
    return folder


def owner() -> str:
    """This process's part of a name: its number, and the host and the container that it has this number in."""
    return f"{os.getpid()}-{PLACE}"


def sweep(within: Path, prefix: str) -> None:
    """Remove the folders whose names begin with `prefix` and an `owner` that is over; another host's stay."""
    for folder in within.glob(f"{glob.escape(prefix)}*-{PLACE}*"):
        pid = folder.name.removeprefix(prefix).split("-")[0]
        if pid.isdigit() and _is_over(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_over(pid: int) -> bool:
    """Whether there is no such process, asked in a way that needs no /proc: without one, all would seem over."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's, or no number of a process
        return False
    return False
