"""What goes to a page that is slow, or does not read at all."""

import asyncio
import contextlib
import json

import numpy as np
import pytest
from visiting import decoded

from worldmodels.playground import outlet as outlet_module
from worldmodels.playground.outlet import MAX_SENTENCES, WINDOW, NotReading, Outlet, Shown

PICTURE = np.zeros((64, 64, 3), np.uint8)


class Socket:
    """Keeps what is sent; while `gate` is closed, sending waits."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.gate.set()
        self.frames, self.texts = [], []

    async def send_text(self, text):
        await self.gate.wait()
        self.texts.append(json.loads(text))

    async def send_bytes(self, content):
        await self.gate.wait()
        self.frames.append(decoded(content).header)


@contextlib.asynccontextmanager
async def sending():
    socket = Socket()
    outlet = Outlet(socket)
    task = asyncio.create_task(outlet.run())
    yield socket, outlet
    task.cancel()


async def show(outlet, *steps):
    for step in steps:
        outlet.show(Shown({"step": step}, [], [PICTURE]))
        for _ in range(3):
            await asyncio.sleep(0)


def test_a_page_that_keeps_up_gets_everything():
    async def run():
        async with sending() as (socket, outlet):
            for step in range(50):
                await show(outlet, step)
                outlet.seen(socket.frames[-1]["frame"])
            assert [frame["step"] for frame in socket.frames] == list(range(50))
            assert outlet.dropped == 0

    asyncio.run(run())


def test_a_page_that_does_not_confirm_gets_a_window_and_then_the_newest():
    async def run():
        async with sending() as (socket, outlet):
            await show(outlet, *range(100))
            assert [frame["step"] for frame in socket.frames] == list(range(WINDOW))
            outlet.seen(1)
            await show(outlet)
            await asyncio.sleep(0.01)
            assert socket.frames[-1] == {
                "frame": WINDOW + 1, "dropped": 100 - WINDOW - 1, "step": 99, "arrays": [], "pictures": 1,
            }  # fmt: skip
            assert len(socket.frames) + outlet.dropped == 100

    asyncio.run(run())


def test_nothing_piles_up_behind_a_stuck_connection():
    async def run():
        async with sending() as (socket, outlet):
            socket.gate.clear()
            await show(outlet, *range(1000))
            socket.gate.set()
            await asyncio.sleep(0.01)
            assert [frame["step"] for frame in socket.frames] == [0, 999]
            assert outlet.dropped == 998

    asyncio.run(run())


def test_a_page_that_confirms_nothing_for_long_is_given_up(monkeypatch):
    monkeypatch.setattr(outlet_module, "PATIENCE", 0.1)

    async def run(*, confirms):
        socket = Socket()
        outlet = Outlet(socket)
        task = asyncio.create_task(outlet.run())
        for step in range(40):
            await show(outlet, step)
            if confirms:
                outlet.seen(step + 1 - WINDOW)
            await asyncio.sleep(0.01)
        return task

    with pytest.raises(NotReading):
        asyncio.run(run(confirms=False)).result()
    assert asyncio.run(run(confirms=True)).cancelled()


def test_a_page_that_takes_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(outlet_module, "PATIENCE", 0.1)

    async def run():
        socket = Socket()
        socket.gate.clear()
        outlet = Outlet(socket)
        outlet.show(Shown({"step": 0}, [], [PICTURE]))
        await outlet.run()

    with pytest.raises(NotReading):
        asyncio.run(run())


def test_a_page_cannot_confirm_what_was_not_sent():
    async def run():
        async with sending() as (socket, outlet):
            outlet.seen(10**9)
            await show(outlet, *range(2 * WINDOW))
            assert len(socket.frames) == WINDOW

    asyncio.run(run())


def test_sentences_keep_their_order_and_their_number():
    async def run():
        async with sending() as (socket, outlet):
            for number in range(10):
                outlet.say("note", text=str(number))
            await asyncio.sleep(0.01)
            assert [text["text"] for text in socket.texts] == [str(number) for number in range(10)]
            socket.gate.clear()
            for _ in range(MAX_SENTENCES + 1):  # one of them is on its way
                outlet.say("note", text="unread")
                await asyncio.sleep(0)
            with pytest.raises(NotReading):
                outlet.say("note", text="unread")

    asyncio.run(run())
