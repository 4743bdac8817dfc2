"""The server itself: where it listens, what it refuses, and that strangers cannot bring it down."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest
from visiting import decoded, serving
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from worldmodels.errors import UserError
from worldmodels.playground.app import Playground
from worldmodels.playground.protocol import MAX_MESSAGE
from worldmodels.playground.serve import address_of, is_loopback, listen, play_dream
from worldmodels.runs import Run

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "play_dream.py"


def test_a_taken_port_is_refused():
    with listen("127.0.0.1", 0) as first, pytest.raises(UserError, match=r"cannot be listened on .*in use.*--port"):
        listen("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "x.invalid", ".."])
def test_an_address_that_is_not_ours_is_refused(host):
    with pytest.raises(UserError, match=host.replace(".", r"\.")):
        listen(host, 0)


def test_addresses_are_those_for_a_browser():
    for host, name, loopback in (("127.0.0.1", "127.0.0.1", True), ("0.0.0.0", "127.0.0.1", False)):
        with listen(host, 0) as listener:
            assert address_of(listener) == f"http://{name}:{listener.getsockname()[1]}/"
            assert is_loopback(listener) == loopback


@pytest.mark.parametrize(
    ("options", "why"),
    [({"port": 70000}, "--port 70000"), ({"port": -1}, "--port -1"), ({"max_visitors": 0}, "--max-visitors 0")],
)
def test_options_out_of_range_are_refused(tiny_run: Run, options, why):
    with pytest.raises(UserError, match=why):
        play_dream(
            tiny_run,
            **{
                "name": (),
                "checkpoint": (),
                "host": "127.0.0.1",
                "port": 0,
                "max_visitors": 1,
                "show": False,
                **options,
            },
        )


@pytest.fixture(scope="module")
def address(role):
    with serving(Playground({"dreamer": role}, limit=8)) as address:
        yield address


def visit(address: str):
    return connect(address.replace("http", "ws") + "visit", origin=address.rstrip("/"), compression=None)


def first_frame(socket) -> dict:
    socket.send('{"type": "begin", "playing": false}')
    while isinstance(message := socket.recv(timeout=30), str):
        pass
    return decoded(message).header


def test_a_visit_over_the_wire(address):
    with visit(address) as socket:
        assert json.loads(socket.recv(timeout=30))["type"] == "hello"
        assert first_frame(socket)["frame"] == 1


def test_a_message_that_is_too_long_ends_its_connection_only(address):
    with visit(address) as other:
        first_frame(other)
        with visit(address) as socket:
            first_frame(socket)
            socket.send("x" * (MAX_MESSAGE + 1))
            with pytest.raises(ConnectionClosedError) as closed:
                deque(socket, maxlen=0)
            assert closed.value.rcvd.code == 1009
        other.send('{"type": "do", "id": 1, "what": "step"}')
        assert decoded(other.recv(timeout=30)).header["dream"]["step"] == 1


@pytest.mark.parametrize(
    "noise", [b"", b"\x00" * 99, b"GET / HTTP/1.1\r\n", b"GET /visit HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"]
)
def test_noise_on_the_port_harms_nobody(address, noise):
    port = int(address.rsplit(":", 1)[1].strip("/"))
    with socket.create_connection(("127.0.0.1", port)) as raw:
        raw.sendall(noise)
    with visit(address) as good:
        assert first_frame(good)["frame"] == 1


def script(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_the_script_says_what_is_wrong(tmp_path):
    with listen("127.0.0.1", 0) as taken:
        process = script("--run", tmp_path / "none", "--port", taken.getsockname()[1])
        _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert said.count("\n") == 1
    assert "in use" in said


def test_the_script_serves_until_it_is_stopped(agent, tmp_path):
    agent.save(tmp_path / "champion")
    process = script("--checkpoint", tmp_path / "champion", "--port", 0, "--show", "False")
    try:
        said = process.stderr.readline()
        assert "Play inside the dream of champion: http://127.0.0.1:" in said
        with visit(said.split(": ")[1].split(" ")[0]) as visitor:
            assert first_frame(visitor)["agent"] == "champion"
            os.kill(process.pid, signal.SIGINT)
            _, rest = process.communicate(timeout=60)
        assert (process.returncode, rest) == (0, "The dream is over.\n")
    finally:
        process.kill()
        process.wait()
