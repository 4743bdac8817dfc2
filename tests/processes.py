"""Processes, shared memory and temporary folders: what somebody started, and whether it is gone."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from worldmodels.janitor import PREFIX


def processes() -> dict[int, tuple[int, str]]:
    """Parent and name of all processes, by number; those that have ended but are not yet buried are left out."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            name = (path / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:  # it has just ended
            continue
        if state != "Z":
            found[int(path.name)] = int(parent), name
    return found


def below(root: int, named: Callable[[str], bool] = bool) -> list[int]:
    """Processes that `root` started, directly or not, by their command lines; not their janitors."""
    known = processes()

    def ancestors(pid: int) -> Iterator[int]:
        while (pid := known.get(pid, (0, ""))[0]) > 1:
            yield pid

    return [pid for pid, (_, name) in known.items() if named(name) and root in ancestors(pid)]


def is_engine(name: str) -> bool:
    """Whether a command line is that of a VizDoom engine."""
    return name.split(" ")[0].endswith("/vizdoom")


def is_ray_worker(name: str) -> bool:
    """Whether a command line is that of one of the project's Ray workers."""
    return name.startswith("ray::Worker")


def shared_memory() -> set[str]:
    """Names in /dev/shm."""
    return {path.name for path in Path("/dev/shm").iterdir()}


def remains(pids: list[int], memory: set[str]) -> list[str]:
    """What is left of processes: themselves, their janitors, their folders, and shared memory that was not there."""
    known = processes()
    folders = [path.name for pid in pids for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-{pid}-*")]
    janitors = [f"janitor.py {pid} " for pid in pids]
    alive = [
        f"{pid} {name[:60]}"
        for pid, (_, name) in known.items()
        if pid in pids or any(janitor in name for janitor in janitors)
    ]
    return alive + folders + sorted(name for name in shared_memory() - memory if name.startswith(("ViZDoom", "plasma")))


def seconds_until_clean(pids: list[int], memory: set[str], limit: float = 30) -> float:
    """How long it takes until nothing is left of processes that have been killed; AssertionError after the limit."""
    begin = time.monotonic()
    while left := remains(pids, memory):
        assert time.monotonic() - begin < limit, f"left behind: {left}"
        time.sleep(0.05)
    return time.monotonic() - begin
