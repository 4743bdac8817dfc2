"""What a process may leave behind when it is killed, and its removal: a janitor waits for its end and clears up.

The janitor is this file, run by a Python that imports nothing else: a small process in a session of its own, started by
the first `temporary_folder` of a process and gone a moment after it. What belonged to the process is found by name:

- its temporary folders (`worldmodels-KIND-PID-PLACE-...`), and every process that writes to a file in one of them: the
  servers and workers of a private Ray, which log there, and of which some outlive the others' end;
- names in /dev/shm of VizDoom engines that no process has mapped any more: an engine that is killed in the 0.2 s in
  which it starts leaves them.

Linux only: where there is no /proc or no pidfd, nothing is started, and folders are swept when the next one is made.
"""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

PREFIX = "worldmodels-"
ENGINE_MEMORY = "ViZDoom"
SETTLED = 2.0
"""Seconds after which shared memory that nobody has mapped is nobody's: its maker maps it at once."""
PATIENCE = 20.0
"""Seconds within which killed processes end."""
_watched: set[tuple[int, str]] = set()


def _place() -> str:
    """Six characters that name the host and, within it, the container: where a process's number means something."""
    try:
        container = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        container = 0
    return f"{zlib.crc32(f'{os.uname().nodename} {container}'.encode()):08x}"[-6:]


PLACE = _place()
"""Stands in the names of temporary folders, which several hosts or containers may share."""


def watch_this_process() -> None:
    """Start this process's janitor for the folder of temporary files, unless it has one."""
    pid, folder = os.getpid(), tempfile.gettempdir()
    if (pid, folder) in _watched or not hasattr(os, "pidfd_open") or not Path("/proc/self/fd").exists():
        return
    _watched.add((pid, folder))
    command = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(pid), folder]
    nothing = subprocess.DEVNULL
    subprocess.run(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True, check=False)


def clear_up_after(pid: int, folder: Path) -> None:
    """Kill what lives in the temporary folders (in `folder`) of a process, if it still does, and remove them."""
    remains = list(folder.resolve().glob(f"{PREFIX}*-{pid}-{PLACE}-*"))  # resolved, as the kernel's names of files are
    deadline = time.monotonic() + PATIENCE
    while remains and (tenants := list(_tenants(remains))) and time.monotonic() < deadline:
        for tenant in tenants:
            with contextlib.suppress(OSError):
                os.kill(tenant, signal.SIGKILL)
        time.sleep(0.02)
    for path in remains:
        shutil.rmtree(path, ignore_errors=True)


def _tenants(folders: list[Path]) -> Iterator[int]:
    """Other processes that have a file in one of the folders open for writing."""
    names = tuple(f"{folder}/" for folder in folders)
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid() and any(path.startswith(names) for path in _written_by(process)):
            yield int(process.name)


def _written_by(process: Path) -> Iterator[str]:
    """Files that a process has open for writing; none if it is over, or another user's."""
    with contextlib.suppress(OSError):
        for entry in os.listdir(process / "fd"):
            with contextlib.suppress(OSError):
                flags = re.search(r"flags:\s*(\d+)", (process / "fdinfo" / entry).read_text())
                if flags and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY:
                    yield os.readlink(process / "fd" / entry)


def clear_up_engines() -> None:
    """Remove the names of engines' shared memory that no process has mapped; they are this user's, and not new."""
    now, stale = time.time(), set[str]()
    for path in Path("/dev/shm").glob(f"{ENGINE_MEMORY}*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            if status.st_uid == os.getuid() and now - status.st_ctime > SETTLED:
                stale.add(str(path))
    if not stale:
        return
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            mapped = maps.read_text(errors="replace")
            stale = {name for name in stale if name not in mapped}
    for name in stale:
        Path(name).unlink(missing_ok=True)


def main() -> None:
    """Wait for the end of the process that started this one, and clear up."""
    pid, folder = int(sys.argv[1]), Path(sys.argv[2])
    with contextlib.suppress(ProcessLookupError):
        watched = os.pidfd_open(pid)
        if os.getppid() == pid:  # else it has ended, and its number may be another's
            if os.fork():
                os._exit(0)  # the janitor is nobody's child, so nobody kills it along with its parent's others
            poll = select.poll()
            poll.register(watched, select.POLLIN)
            poll.poll()
    clear_up_after(pid, folder)
    engines = any(Path("/dev/shm").glob(f"{ENGINE_MEMORY}*"))
    if engines:
        time.sleep(SETTLED)
        clear_up_engines()


if __name__ == "__main__":
    main()
