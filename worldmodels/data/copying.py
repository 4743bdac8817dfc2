"""Rollouts that begin with all that another run has collected."""

import os
import shutil
from pathlib import Path


def copy_rollouts(source: Path, target: Path) -> None:
    """A data set to append to that begins with all that another one holds; they share their files where the disk can.

    That is safe because Lance never changes a file that it has written. Atomic.
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
