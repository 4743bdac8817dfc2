"""What tests leave behind: processes of their own, shared memory of engines, temporary folders."""

import gc
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from processes import shared_memory

from worldmodels.janitor import ENGINE_MEMORY, PLACE, PREFIX

PATIENCE = 30.0
"""Seconds within which all has to be gone: janitors, and servers that are told to end, need a few."""
LASTING = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")
"""Helpers that Python starts once a process, for all that follow."""


class Watch:
    """Tells, after every test, what there is that was not there before it: a few milliseconds, if there is nothing."""

    def __init__(self) -> None:
        self._known = present()
        self._lent: set[str] = set()

    def lend(self, scope: str) -> None:
        """What has come up by now is of a fixture that outlives the test."""
        found = present() - self._known
        self._known |= found
        if scope != "session":
            self._lent |= found

    def left(self, module_ends: bool) -> list[str]:
        """What is left behind, once it has had the time to go; `module_ends`: no module's fixture is there any more."""
        if module_ends:
            self._known -= self._lent
            self._lent.clear()
        deadline = time.monotonic() + PATIENCE
        while (found := present() - self._known) and time.monotonic() < deadline:
            gc.collect()  # games that nobody holds any more end their engines
            time.sleep(0.05)
        self._known |= found  # one test is to be blamed, not all that follow
        return sorted(found)


def present() -> set[str]:
    """This process's children, engines' shared memory, and temporary folders of this process or of one that is over."""
    memory = (f"/dev/shm/{name}" for name in shared_memory() if name.startswith(ENGINE_MEMORY))
    return {*_children(), *memory, *_folders()}


def _children() -> Iterator[str]:
    mine = str(os.getpid()).encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            state, parent = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[:2]
            if parent != mine or state == b"Z":
                continue
            name = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:  # it has just ended
            continue
        if not any(helper in name for helper in LASTING):
            yield f"process {pid}: {name[:80]}"


def _folders() -> Iterator[str]:
    end = f"-{PLACE}-"
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*{end}*"):
        owner = folder.name.partition(end)[0].rpartition("-")[2]
        if owner == str(os.getpid()) or not Path(f"/proc/{owner}").exists():
            yield str(folder)
