"""Who may speak to the server: pages that it served itself, under a name that is its own."""

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""Sent with every answer: the page takes nothing from elsewhere, and is no part of another page."""
MISDIRECTED = 421


class Guard:
    """ASGI middleware that refuses foreign names and foreign pages, and adds `HEADERS`.

    The name under which a browser asks (`Host`) has to be an IP address, localhost or one of `names`: a foreign name
    that was made to lead here is refused. A WebSocket's `Origin` has to be the page of that very name.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app, self._names = app, {name.lower() for name in ("localhost", *names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        known = self._knows(host)
        if scope["type"] == "websocket":
            refused = not known or not _same(headers.get("origin", ""), host)
            await (WebSocketClose() if refused else self._app)(scope, receive, send)
            return
        refusal = PlainTextResponse("This server does not go by that name: start it with --host.", MISDIRECTED)
        await (self._app if known else refusal)(scope, receive, _with_headers(send))

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._names:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _same(origin: str, host: str) -> bool:
    """Whether a page of that origin was served under that host."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
