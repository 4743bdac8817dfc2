"""Temporary folders that are found again, and removed, if their process is killed before it can do that itself."""

import os
import shutil
import tempfile
from pathlib import Path


def temporary_folder(kind: str) -> Path:
    """A new folder for this process to remove; those of the same kind whose processes are over are removed now.

    Its name is short, because Ray's sockets, whose names may have 107 characters, live in one.
    """
    prefix = f"worldmodels-{kind}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*-*"):
        pid = folder.name.removeprefix(prefix).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))
