"""The web application: the page's files, the WebSocket on which visits take place, and recordings to take home."""

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from worldmodels.errors import UserError
from worldmodels.playground.cast import Role
from worldmodels.playground.guard import Guard
from worldmodels.playground.outlet import NotReading, Outlet
from worldmodels.playground.protocol import Begin, Seen, understood
from worldmodels.playground.recorder import MAX_SECONDS
from worldmodels.playground.threads import Dreamer, OwnThread
from worldmodels.playground.visit import Visit
from worldmodels.playground.wishes import Wishes

PAGE = Path(__file__).parent / "page"
FIRST_WORD = 10.0
"""Seconds within which a page has to say how its visit begins."""
LAST_WORD = 5.0
"""Seconds for a page to take in the last sentence."""
POLICY_VIOLATION, BROKEN, TRY_AGAIN_LATER = 1008, 1011, 1013
"""Codes with which a WebSocket is closed (RFC 6455)."""
MEDIA = {"gif": "image/gif", "mp4": "video/mp4"}


class Playground:
    """All visits.

    Args:
        cast: the agents to choose from, by name.
        limit: visitors at once, at most.
    """

    def __init__(self, cast: Mapping[str, Role], limit: int) -> None:
        self._cast, self._limit = cast, limit
        self._places = 0
        self._visits: set[Visit] = set()

    def app(self, names: Collection[str] = ()) -> Starlette:
        """The ASGI application; `names` are those of this server beside localhost and its addresses."""
        routes = [
            WebSocketRoute("/visit", self._visit),
            Route("/recordings/{address}.{kind}", self._recording),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ]
        return Starlette(routes=routes, middleware=[Middleware(Guard, names=names)], lifespan=self._open)

    @contextlib.asynccontextmanager
    async def _open(self, app: Starlette) -> AsyncIterator[None]:
        self._dreamer, self._scribe = Dreamer(), OwnThread("scribe")
        yield
        self._dreamer.close()
        self._scribe.end_with(lambda: None)

    async def _recording(self, request: Request) -> Response:
        address, kind = request.path_params["address"], request.path_params["kind"]
        kept = [visit.recordings.files for visit in self._visits]
        found = [files[address] for files in kept if address in files]
        if not found or kind not in MEDIA:
            return PlainTextResponse("This recording is gone: it is kept until the next one, or the visit's end.", 404)
        disposition = {"Content-Disposition": f'attachment; filename="dream.{kind}"'}
        return Response(getattr(found[0], kind), media_type=MEDIA[kind], headers=disposition)

    async def _visit(self, socket: WebSocket) -> None:
        """One connection, from its first word to its end."""
        with contextlib.suppress(WebSocketDisconnect):
            await socket.accept()
            if self._places >= self._limit:
                text = f"The dream is full: it takes {self._limit} visitors at once."
                await _farewell(socket, TRY_AGAIN_LATER, "full", text)
                return
            self._places += 1
            try:
                outlet = Outlet(socket)
                await _first_to_end(outlet.run(), self._stay(socket, outlet))
            except TimeoutError:
                last = POLICY_VIOLATION, "problem", "The page did not say how its visit begins."
            except NotReading:
                last = POLICY_VIOLATION, "", ""
            except WebSocketDisconnect:
                return
            except Exception as error:
                traceback.print_exception(error)  # it is this visit's: the others go on
                last = BROKEN, "problem", f"The visit broke off: {error}"
            finally:
                self._places -= 1  # before the last word, which a page that reads nothing never lets out
            await _farewell(socket, *last)

    async def _stay(self, socket: WebSocket, outlet: Outlet) -> None:
        """A visit, from its first word to the page's last."""
        outlet.say("hello", **self._hello())
        async with asyncio.timeout(FIRST_WORD):
            begin, wishes = await self._first_word(socket, outlet)
        visit = Visit(self._cast, self._dreamer, self._scribe, outlet, wishes, begin.seed)
        self._visits.add(visit)
        try:
            await _first_to_end(visit.run(), _listen(socket, wishes, outlet))
        finally:
            self._visits.remove(visit)

    async def _first_word(self, socket: WebSocket, outlet: Outlet) -> tuple[Begin, Wishes]:
        """The first message that begins a visit."""
        while True:
            try:
                message = understood(await _received(socket))
                if isinstance(message, Begin):
                    return message, Wishes(message, self._cast)
                raise UserError("A visit begins with a message of type `begin`.")
            except UserError as error:
                outlet.say("problem", text=str(error))

    def _hello(self) -> dict[str, object]:
        """What the page has to know before the visit begins."""
        return {"agents": [_introduction(role) for role in self._cast.values()], "seconds": MAX_SECONDS}


def _introduction(role: Role) -> dict[str, object]:
    agent = role.agent
    return {
        "name": role.name,
        "task": agent.task.name.replace("_", " "),
        "fps": agent.task.fps,
        "buttons": [asdict(button) for button in role.layout.buttons],
        "entries": [
            {"name": name, "low": low, "high": high}
            for name, low, high in zip(role.layout.entries, agent.squash.low, agent.squash.high, strict=True)
        ],
        "mixtures": agent.memory.output.components,
    }


async def _listen(socket: WebSocket, wishes: Wishes, outlet: Outlet) -> None:
    """Take in what a page says during its visit; what is not understood is answered by a sentence."""
    while True:
        try:
            message = understood(await _received(socket))
            if isinstance(message, Seen):
                outlet.seen(message.frame)
            elif isinstance(message, Begin):
                raise UserError("This visit has begun already.")
            else:
                wishes.hear(message)
        except UserError as error:
            outlet.say("problem", text=str(error))


async def _received(socket: WebSocket) -> str | None:
    """The next message of text, None for a binary one; WebSocketDisconnect if the page has left."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1005)
    return message.get("text")


async def _first_to_end(*parts: Coroutine[Any, Any, None]) -> None:
    """Run parts of a visit side by side until one ends, and raise what ended it; the others are cancelled."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    errors = [task.exception() for task in tasks if not task.cancelled()]
    for error in filter(None, errors):
        raise error


async def _farewell(socket: WebSocket, code: int, kind: str, text: str) -> None:
    """A last sentence, if there is one to say, and the end; for a page that takes nothing in, neither."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORD):
            if text:
                await socket.send_json({"type": kind, "text": text})
            await socket.close(code)
