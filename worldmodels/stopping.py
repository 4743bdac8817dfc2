"""Stopping on request: Ctrl-C and SIGTERM end a script in one sentence, whatever it is doing."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. It takes the way of Ctrl-C, so that libraries treat it alike."""


@contextlib.contextmanager
def stops_cleanly() -> Iterator[None]:
    """In the block, the first SIGINT raises KeyboardInterrupt and the first SIGTERM raises Terminated.

    Whoever asks again while things are put away ends the process at once, and its janitor puts away the rest. A signal
    that is ignored, as SIGINT is in the background of a shell, stays so. Does nothing outside of the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    taken = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in taken:
            if signal.getsignal(number) is not _leave:
                signal.signal(number, before[number])


@contextlib.contextmanager
def keeps_handler() -> Iterator[None]:
    """Put back SIGTERM's handler after a library's start that takes it over, and exits with 15 when it arrives."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as error:
        raise Terminated if error.code == signal.SIGTERM else error from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    for each in SIGNALS:
        if signal.getsignal(each) is _stop:
            signal.signal(each, _leave)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
