"""Temporary folders that are removed even if their process is killed before it can do that itself."""

import os
import shutil
import tempfile
from pathlib import Path

from worldmodels.janitor import PREFIX, watch_this_process


def temporary_folder(kind: str) -> Path:
    """A new folder for this process to remove; if it is killed, its janitor does.

    Folders of the same kind whose processes are over, and whose janitors were killed as well, are removed now. The
    name is short, because Ray's sockets, whose names may have 107 characters, live in one.
    """
    prefix = f"{PREFIX}{kind}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*-*"):
        pid = folder.name.removeprefix(prefix).split("-")[0]
        if pid.isdigit() and _is_over(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    watch_this_process()
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))


def _is_over(pid: int) -> bool:
    """Whether there is no such process, asked in a way that needs no /proc: without one, all would seem over."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's, or no number of a process
        return False
    return False
