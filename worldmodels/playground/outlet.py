"""What goes out to one page: sentences, all of them in their order, and frames, of which a slow page gets only some."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from starlette.websockets import WebSocket

from worldmodels.pictures import Frames
from worldmodels.playground.protocol import frame_message

WINDOW = 12
"""Frames on their way that the page has not yet confirmed; while there are so many, further ones have to wait."""
MAX_SENTENCES = 64
"""Sentences that wait for a page that does not read; one more, and the connection is given up."""
PATIENCE = 60.0
"""Seconds after which a page that takes nothing, or confirms nothing while frames wait, is given up."""


class NotReading(Exception):
    """The page has not read anything for too long."""


class Shown(NamedTuple):
    """A frame with what belongs to it, see `frame_message`."""

    header: Mapping[str, Any]
    numbers: Sequence[NDArray[np.float32]]
    pictures: Sequence[Frames]


class Outlet:
    """Sends to a page in bounded memory, without ever making the visit wait.

    One frame waits at most: a newer one takes its place, and the older one counts as dropped. So the newest always
    arrives in the end.

    Attributes:
        sent: number of the newest frame that was given to the connection, from 1.
        dropped: how many frames were left out.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._sentences: deque[str] = deque()
        self._waiting: Shown | None = None
        self._something = asyncio.Event()
        self._seen = 0
        self.sent = self.dropped = 0

    def say(self, kind: str, **content: Any) -> None:
        """Send a message of JSON; NotReading if too many of them wait."""
        if len(self._sentences) >= MAX_SENTENCES:
            raise NotReading
        self._sentences.append(json.dumps({"type": kind, **content}))
        self._something.set()

    def show(self, frame: Shown) -> None:
        """Send a frame as soon as the page keeps up."""
        self.dropped += self._waiting is not None
        self._waiting = frame
        self._something.set()

    def seen(self, number: int) -> None:
        """The page has got the frame of that number."""
        self._seen = max(self._seen, min(number, self.sent))
        self._something.set()

    async def run(self) -> None:
        """Send for ever; NotReading if the page has long stopped to take in what is sent."""
        clock = asyncio.get_running_loop().time
        confirmed, seen = clock(), self._seen
        while True:
            await self._something.wait()
            self._something.clear()
            if self._seen != seen or self.sent - self._seen < WINDOW:
                confirmed, seen = clock(), self._seen
            if clock() - confirmed > PATIENCE:
                raise NotReading
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._send()
            except TimeoutError as error:
                raise NotReading from error

    async def _send(self) -> None:
        """Send all sentences, and the frame that waits if the page keeps up."""
        while self._sentences:
            await self._socket.send_text(self._sentences.popleft())
        if self._waiting is not None and self.sent - self._seen < WINDOW:
            (header, numbers, pictures), self._waiting = self._waiting, None
            self.sent += 1
            header = {"frame": self.sent, "dropped": self.dropped, **header}
            await self._socket.send_bytes(frame_message(header, numbers, pictures))
