"""The server from the command line: agents, an address to listen on, and the page's own address for the visitor."""

import contextlib
import gc
import ipaddress
import os
import socket
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from worldmodels.errors import UserError
from worldmodels.metrics import say
from worldmodels.playground.app import Playground
from worldmodels.playground.cast import gather
from worldmodels.playground.protocol import MAX_MESSAGE
from worldmodels.process import become_worker
from worldmodels.runs import Run

MAX_VISITORS = 256


def play_dream(
    run: Run, name: Sequence[str], checkpoint: Sequence[Path], host: str, port: int, max_visitors: int, show: bool
) -> None:
    """Play inside an agent's dream, on a web page that this machine serves until it is stopped.

    Args:
        run: whose controllers are offered.
        name: of those, in this order; all finished ones if empty.
        checkpoint: folders of further agents.
        host: address to listen on; only programs on this machine reach the loopback address 127.0.0.1.
        port: of it; 0 takes a free one.
        max_visitors: visitors at once.
        show: open the page in a browser, where there is one.

    Raises:
        UserError: there is no agent that dreams, or the address cannot be listened on.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port} is none: give one from 1 to 65535, or 0 for any that is free.")
    if not 1 <= max_visitors <= MAX_VISITORS:
        raise UserError(f"--max-visitors {max_visitors} cannot be: give a number from 1 to {MAX_VISITORS}.")
    with listen(host, port) as listener:
        cast = gather(run, name, checkpoint)
        become_worker()
        gc.freeze()  # what is loaded stays for good: later collections need not look through it
        address = address_of(listener)
        server = server_of(Playground(cast, max_visitors), host)
        say(f"Play inside the dream of {', '.join(cast)}: {address} (Ctrl+C ends it)")
        if not is_loopback(listener):
            say("Everyone who can reach this machine can play too.")
        if show and _has_browser():
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):  # which the server may keep to itself
            server.run(sockets=[listener])
        say("The dream is over.")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; UserError if the address is not this machine's or the port is taken or forbidden."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host {host} is no address of this machine ({error}).") from error
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen()
    except OSError as error:
        listener.close()
        raise UserError(
            f"Port {port} of {host} cannot be listened on ({os.strerror(error.errno or 0)}): "
            "choose another with --port, e.g. --port 0 for any that is free."
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The page's address, as a browser on this machine takes it."""
    ip, port = listener.getsockname()[:2]
    if ipaddress.ip_address(ip).is_unspecified:
        name = "127.0.0.1" if listener.family == socket.AF_INET else "[::1]"
    else:
        name = f"[{ip}]" if ":" in ip else ip
    return f"http://{name}:{port}/"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only programs on this machine reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def server_of(playground: Playground, host: str) -> uvicorn.Server:
    """The web server of a playground; it also goes by the machine's name and by `host`."""
    config = uvicorn.Config(
        playground.app([host, socket.gethostname()]),
        loop="asyncio",
        http="h11",
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # it costs more than it saves on frames of noise
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


def _has_browser() -> bool:
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
