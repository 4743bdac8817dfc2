"""Signs of life: whatever plays calls `beat` at every step, so that a worker that hangs is told from one that is busy.

How long a piece of work takes depends on the game, on how good the agent has become and on the machine; that a single
step takes minutes does not happen. So it is steps that have a deadline (`compute.hang_after`).
"""

import contextlib
import threading
import time
from collections.abc import Iterator

_here = threading.local()


class Pulses:
    """When each piece of work that is under way in this process last took a step."""

    def __init__(self) -> None:
        self._last: dict[int, float] = {}

    @contextlib.contextmanager
    def of(self, number: int) -> Iterator[None]:
        """This thread does piece `number`; its beats count for it."""
        _here.feel = lambda: self._last.__setitem__(number, time.monotonic())
        beat()
        try:
            yield
        finally:
            del _here.feel
            del self._last[number]

    def still(self) -> dict[int, float]:
        """Seconds since the last beat, by piece of work."""
        now = time.monotonic()
        return {number: now - last for number, last in list(self._last.items())}


def beat() -> None:
    """Say that this thread's work goes on; nobody need be listening."""
    feel = getattr(_here, "feel", None)
    if feel is not None:
        feel()
