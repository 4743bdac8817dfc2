"""Threads: results and errors go to whoever asked, pictures are painted together, nobody waits for another's fault."""

import asyncio
import threading
import time

import numpy as np
import pytest
import torch

from worldmodels.playground import threads
from worldmodels.playground.threads import Dreamer, OwnThread
from worldmodels.vision.base import picture


def test_results_and_errors_come_back():
    async def asked():
        thread = OwnThread("test")
        assert await thread.do(lambda: 3) == 3
        with pytest.raises(ZeroDivisionError):
            await thread.do(lambda: 1 // 0)
        names = {await thread.do(lambda: threading.current_thread().name) for _ in range(3)}
        assert names == {"test"}
        thread.end_with(lambda: None)

    asyncio.run(asked())


def test_the_last_work_is_done_and_the_thread_ends():
    done = []

    async def asked():
        thread = OwnThread("ending")
        thread.end_with(lambda: done.append(1))

    asyncio.run(asked())
    deadline = time.monotonic() + 10
    while any(thread.name == "ending" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert done == [1]


def test_who_leaves_does_not_disturb_who_stays():
    async def asked():
        thread, gate = OwnThread("test"), threading.Event()
        waiting = asyncio.create_task(thread.do(gate.wait))
        await asyncio.sleep(0.01)
        waiting.cancel()
        gate.set()
        assert await thread.do(lambda: "next") == "next"
        thread.end_with(lambda: None)

    asyncio.run(asked())


def test_the_loop_goes_on_while_a_thread_works():
    async def asked():
        thread, gate = OwnThread("test"), threading.Event()
        slow = asyncio.create_task(thread.do(gate.wait))
        for _ in range(5):
            await asyncio.sleep(0.001)
        assert not slow.done()
        gate.set()
        assert await slow
        thread.end_with(lambda: None)

    asyncio.run(asked())


def test_dreams_are_painted_together_and_faults_stay_alone(agent, monkeypatch):
    batches = []
    monkeypatch.setattr(threads, "picture", lambda vision, z: batches.append(len(z)) or picture(vision, z))
    latents = torch.randn(5, agent.vision.latent_dim)

    def broken():
        raise ValueError("this dream is broken")

    async def asked():
        dreamer = Dreamer()
        works = [lambda i=i: latents[i : i + 1] for i in range(5)]
        works[2] = broken
        results = await asyncio.gather(
            *(dreamer.picture_of(agent.vision, work) for work in works), return_exceptions=True
        )
        again = await dreamer.picture_of(agent.vision, works[0])
        dreamer.close()
        return results, again

    results, again = asyncio.run(asked())
    assert batches == [4, 1]
    assert isinstance(results[2], ValueError)
    for i in (0, 1, 3, 4):
        assert np.abs(results[i].astype(int) - picture(agent.vision, latents[i : i + 1])[0]).max() <= 1
    assert np.abs(results[0].astype(int) - again).max() <= 1
