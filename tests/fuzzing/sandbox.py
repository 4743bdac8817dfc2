"""A process in which files are loaded that may be hostile, under a limit of memory and with a time limit a file."""

import hashlib
import multiprocessing
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

MEMORY = 3 * 2**29
"""Bytes that loading may take beyond what the process holds when it begins."""
SECONDS = 90
"""A file that takes longer to load hangs."""
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")
"""Audit events of code that is run, or of data that leave the machine."""


class Sandbox:
    """Loads one file after the other; a process that died or hung is replaced by a new one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: Any = None

    def load(self, loader: str, folder: Path) -> tuple[str, str]:
        """What becomes of loading `folder`: "refused" and the sentence, "loaded" and a digest of what was loaded,
        "crash" and the trace, "hang" or "code run"."""
        if self._process is None:
            self._start()
        self._pipe.send((loader, folder))
        if not self._pipe.poll(SECONDS):
            self.close()
            return "hang", ""
        try:
            result: tuple[str, str] = self._pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self.close()
            return "crash", f"the process ended with {code}"
        return result

    def _start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["fuzzing.loaders"])
        self._pipe, inner = context.Pipe()
        self._process = context.Process(target=_serve, args=(inner, self.folder), daemon=True)
        self._process.start()
        inner.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _serve(pipe: Any, folder: Path) -> None:
    from fuzzing.loaders import LOADERS
    from worldmodels.data.exchange.minari import library

    library()  # runs a program when it is imported, which is not to be held against a file
    os.chdir(folder)
    sys.stderr = sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
    os.dup2(sys.stderr.fileno(), 2)  # Lance tells of its panics there
    held = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024  # noqa: SIM115
    resource.setrlimit(resource.RLIMIT_DATA, (held + MEMORY, held + MEMORY))
    happened: list[str] = []
    sys.addaudithook(lambda event, arguments: happened.append(event) if event in FORBIDDEN else None)
    while True:
        name, place = pipe.recv()
        happened.clear()
        result = _loaded(LOADERS[name].load, place)
        pipe.send(("code run", ", ".join(happened)) if happened else result)


def _loaded(load: Any, folder: Path) -> tuple[str, str]:
    from worldmodels.errors import UserError

    try:
        return "loaded", hashlib.sha256(load(folder)).hexdigest()
    except UserError as error:
        sentence = str(error)
        return (
            ("crash", f"{len(sentence)} characters: {sentence[:200]}") if not _good(sentence) else ("refused", sentence)
        )
    except BaseException:
        return "crash", traceback.format_exc()[-1500:]


def _good(sentence: str) -> bool:
    """Whether it is one line for the person at the terminal."""
    return sentence.isprintable() and 10 < len(sentence) < 1000
