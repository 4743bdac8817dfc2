"""Ray workers as their driver sees them: who is up, who is busy with what, who has gone quiet."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from worldmodels.pulse import Pulses

WATCH = "watch"
"""The concurrency group in which a worker answers while it works."""


class Worker:
    """One process of its own with one job, made when the first piece of work arrives."""

    def __init__(self, make_job: Callable[[], Callable[[Any], Any]]) -> None:
        from worldmodels.process import become_worker

        become_worker()
        self._make_job = make_job
        self._job: Callable[[Any], Any] | None = None
        self._pulses = Pulses()

    def hello(self) -> tuple[str, int]:
        """Host and process number."""
        return socket.gethostname(), os.getpid()

    def run(self, number: int, task: Any) -> Any:
        """Do a piece of work."""
        with self._pulses.of(number):
            if self._job is None:
                self._job = self._make_job()
            return self._job(task)

    def still(self) -> dict[int, float]:
        """Seconds since the last sign of life, by piece of work that is under way."""
        return self._pulses.still()


class Seat:
    """A place for a worker; the one who dies or hangs on it is followed by another.

    Attributes:
        number: of the seat, from 0.
        host, pid: where its worker is, once it is up.
        up: whether its worker has answered; until then (the cluster may have no free core) it is given nothing.
        tasks: numbers of the pieces of work it has been given, the oldest first.
        stillborn: workers in a row that died before they had answered.

    Args:
        cores: of the cluster's, that a worker claims; one that claims none finds room in any cluster.
    """

    def __init__(self, ray: Any, number: int, shipped: Any, cores: int) -> None:
        self.number, self._ray, self._shipped, self._cores = number, ray, shipped, cores
        self.tasks: list[int] = []
        self.stillborn = 0
        self.start()

    def start(self) -> None:
        """Put a new worker on the seat."""
        actor = self._ray.remote(concurrency_groups={WATCH: 1})(Worker)
        self._actor = actor.options(num_cpus=self._cores, max_concurrency=1).remote(self._shipped)
        self._hello = self._actor.hello.options(concurrency_group=WATCH).remote()
        self._pulse: Any = None
        self._asked, self._still = time.monotonic(), 0.0
        self.host, self.pid = "", 0
        self.up = False
        self.tasks.clear()

    @property
    def waits_for(self) -> Any | None:
        """Reference to the worker's next answer about itself."""
        return self._pulse if self.up else self._hello

    def __str__(self) -> str:
        where = f" on {self.host}" if self.host != socket.gethostname() else ""
        return f"Worker {self.number} (process {self.pid}{where})" if self.pid else f"Worker {self.number}"

    def give(self, number: int, task: Any) -> Any:
        """Hand over a piece of work; returns the reference of its result."""
        self.tasks.append(number)
        if len(self.tasks) == 1:
            self._asked, self._still = time.monotonic(), 0.0
        return self._actor.run.remote(number, task)

    def under_way(self) -> list[int]:
        """The piece of work that is being done, if there is one; the others wait for their turn."""
        return self.tasks[:1]

    def listen(self) -> None:
        """Take in the answer at `waits_for`; raises RayError if the worker is dead."""
        answer, self._pulse = self._ray.get(self.waits_for), None
        self._asked = time.monotonic()
        if self.up:
            self._still = max((seconds for number, seconds in answer.items() if number in self.tasks), default=0.0)
        else:
            (self.host, self.pid), self.up, self.stillborn = answer, True, 0

    def still(self, interval: float) -> float:
        """Seconds for which a busy worker is known to have given no sign of life; it is asked every `interval` s."""
        if not (self.up and self.tasks):
            return 0.0
        waited = time.monotonic() - self._asked
        if self._pulse is not None:
            return max(waited, self._still)
        if waited >= interval:
            self._pulse = self._actor.still.options(concurrency_group=WATCH).remote()
            self._asked = time.monotonic()
        return self._still

    def end(self) -> None:
        """Let Ray end the worker."""
        self._ray.kill(self._actor, no_restart=True)

    def end_process(self) -> None:
        """Kill the worker's process if it is on this machine: one that is stopped does not hear Ray."""
        if self.pid and self.host == socket.gethostname():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
