"""Folders that begin with all that another one holds, such as the rollouts of another run."""

import os
import shutil
from pathlib import Path


def copy_folder(source: Path, target: Path) -> None:
    """A copy of a folder; the two share their files where the disk can. Atomic.

    That is safe where files are never changed but replaced, as Lance does, and as the files of a finished stage are.
    """
    unfinished = target.with_name(f"copying-{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(source, unfinished, copy_function=_link)
    os.replace(unfinished, target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
