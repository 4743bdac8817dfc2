"""Eight visitors for a minute: each has a dream of its own, memory stays flat, nothing is dropped silently."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from visiting import busy, decoded, racer
from websockets.asyncio.client import ClientConnection, connect

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "play_dream.py"
SECONDS = 75.0
WARM = 30.0
"""Seconds after which everybody has done everything twice."""
GROWTH = 48.0
"""MB that the server may grow by after that: a recording of 8 seconds comes and goes."""
FRAMES = 15.0
"""Frames a second that each of the plain visitors gets at least, beside a test that reads for all of them."""


@dataclass
class Tally:
    """What a page has got."""

    frames: int = 0
    dropped: int = 0
    gaps: int = 0
    worlds: set[tuple[int, bytes]] = field(default_factory=set)
    recordings: int = 0
    problems: list[str] = field(default_factory=list)


async def visit(address: str, seed: int, until: float, behave: Callable) -> Tally:
    """A page that reads and confirms frames, and checks that every step is either there or counted as dropped."""
    tally = Tally()
    async with connect(address.replace("http", "ws") + "visit", origin=address.rstrip("/"), compression=None) as socket:
        await socket.send(json.dumps({"type": "begin", "seed": seed}))
        behaviour = asyncio.create_task(behave(socket))
        before = None
        while time.monotonic() < until:
            message = await socket.recv()
            if isinstance(message, str):
                told = json.loads(message)
                tally.recordings += told["type"] == "recording"
                if told["type"] == "problem":
                    tally.problems.append(told["text"])
                continue
            header, _, pictures = decoded(message)
            await socket.send(json.dumps({"type": "seen", "frame": header["frame"]}))
            tally.frames += 1
            tally.dropped = header["dropped"]
            if tally.frames % 50 == 0:
                tally.worlds.add((header["seed"], pictures[0].tobytes()))
            if before and header["seed"] == before["seed"] and header["input"] == before["input"]:
                steps = header["dream"]["step"] - before["dream"]["step"]
                tally.gaps += steps != 1 + header["dropped"] - before["dropped"]
                assert header["frame"] == before["frame"] + 1
            before = header
        behaviour.cancel()
    return tally


async def plain(socket: ClientConnection) -> None:
    """Looks on."""


async def restless(socket: ClientConnection) -> None:
    """Asks for something else all the time, and talks nonsense."""
    number = 0
    while True:
        for wish in (
            {"type": "set", "temperature": 1.5},
            {"type": "hold", "buttons": ["left"]},
            {"type": "do", "what": "renew"},
            {"type": "set", "mode": "human"},
            {"type": "nonsense"},
        ):
            number += 1
            await socket.send(json.dumps({**wish, "id": number}))
            await asyncio.sleep(0.05)


async def beside(socket: ClientConnection) -> None:
    """Has the real game beside the dream, and again not."""
    for number in range(10_000):
        await socket.send(json.dumps({"type": "set", "id": number, "game": number % 2 == 0}))
        await asyncio.sleep(4)


async def recording(socket: ClientConnection) -> None:
    """Records all the time."""
    for number in range(10_000):
        await socket.send(json.dumps({"type": "do", "id": number, "what": "stop" if number % 2 else "record"}))
        await asyncio.sleep(8)


async def slow(address: str, seed: int, until: float) -> Tally:
    """A page that reads a frame now and then."""
    tally = Tally()
    async with connect(address.replace("http", "ws") + "visit", origin=address.rstrip("/"), compression=None) as socket:
        await socket.send(json.dumps({"type": "begin", "seed": seed}))
        while time.monotonic() < until:
            message = await socket.recv()
            if isinstance(message, bytes):
                header = decoded(message).header
                tally.frames, tally.dropped = header["frame"], header["dropped"]
                await asyncio.sleep(0.2)
                await socket.send(json.dumps({"type": "seen", "frame": header["frame"]}))
    return tally


def memory(process: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def minute(address: str, process: int) -> tuple[list[Tally], list[float]]:
    """All visitors' tallies, and the server's memory every two seconds after it is warm."""
    until = time.monotonic() + SECONDS
    kinds = [plain, plain, plain, plain, restless, beside, recording]
    visits = [visit(address, 1000 * seed, until, kind) for seed, kind in enumerate(kinds)]

    async def watched() -> list[float]:
        await asyncio.sleep(WARM)
        taken = []
        while time.monotonic() < until:
            taken.append(memory(process))
            await asyncio.sleep(2)
        return taken

    *tallies, taken = await asyncio.gather(*visits, slow(address, 7000, until), watched())
    return tallies, taken


def test_eight_visitors_for_a_minute(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    racer().save(tmp_path / "racer")
    command = [sys.executable, str(SCRIPT), "--checkpoint", str(tmp_path / "racer"), "--port", "0", "--show", "False"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr
        address = server.stderr.readline().split(": ")[1].split(" ")[0]
        tallies, taken = asyncio.run(minute(address, server.pid))
        assert server.poll() is None
    finally:
        server.terminate()
        server.communicate(timeout=30)
    rates = [tally.frames / SECONDS for tally in tallies]
    judged = busy()
    measured = (
        f"frames/s of 8 visitors {[round(rate, 1) for rate in rates]}, dropped {[tally.dropped for tally in tallies]}; "
        f"memory {min(taken):.0f} to {max(taken):.0f} MB, {taken[-1] - taken[0]:+.0f} MB"
    )
    record_property("measured", measured)
    assert [tally.gaps for tally in tallies] == [0] * 8
    assert len(set.union(*(tally.worlds for tally in tallies))) == sum(len(tally.worlds) for tally in tallies)
    assert all(tally.worlds for tally in tallies[:7])
    assert taken[-1] - taken[0] < GROWTH
    assert tallies[6].recordings
    assert {problem[:12] for problem in tallies[4].problems} == {"This message"}
    assert all(not tally.problems for tally in tallies[:4])
    if judged:
        pytest.skip(measured + judged)
    assert min(rates[:4]) > FRAMES
    assert tallies[7].dropped > tallies[7].frames
