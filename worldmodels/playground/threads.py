"""Work that must not hold up the page's connections: a thread of one's own, and one that decodes for all visitors."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from worldmodels.pictures import Frames
from worldmodels.vision.base import VisionModel, picture

Result = TypeVar("Result")
Work = Callable[[], Any]


class OwnThread:
    """A thread that does one piece of work after the other.

    It is a daemon: work that never ends holds up neither the server nor its end.
    """

    def __init__(self, name: str) -> None:
        self._work: queue.SimpleQueue[tuple[Work, asyncio.AbstractEventLoop, asyncio.Future] | None]
        self._work = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def do(self, work: Callable[[], Result]) -> Result:
        """The result of a piece of work; whoever is cancelled meanwhile leaves it to end by itself."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._work.put((work, loop, future))
        return await future

    def end_with(self, work: Work) -> None:
        """Do one last piece of work, whose result nobody waits for, and end."""
        self._work.put((work, asyncio.get_running_loop(), asyncio.get_running_loop().create_future()))
        self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            work, loop, future = item
            try:
                tell = partial(_settle, future, work(), None)
            except Exception as error:  # it is for the one who asked
                tell = partial(_settle, future, None, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(tell)


def _settle(future: asyncio.Future, result: Any, error: Exception | None) -> None:
    """Give a future its result, or its error, unless whoever waited for it has left."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class _Job(NamedTuple):
    """A visitor's step: `work` makes the next latent (1, Z), and `vision` its picture."""

    vision: VisionModel
    work: Callable[[], Tensor]
    future: asyncio.Future


class Dreamer:
    """The one thread in which all visitors dream.

    Steps that are due at the same time are taken together, and their latents are decoded as one batch for each V:
    a picture of eight costs a third of what it costs alone.
    """

    def __init__(self) -> None:
        self._thread = OwnThread("dreamer")
        self._waiting: list[_Job] = []
        self._serving: asyncio.Task | None = None

    async def picture_of(self, vision: VisionModel, work: Callable[[], Tensor]) -> Frames:
        """What V decodes the latent (1, Z) to that `work` makes: uint8 (64, 64, 3). Raises what `work` raises."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(vision, work, future))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())
        return await future

    async def _serve(self) -> None:
        await asyncio.sleep(0)  # for those whose step is due at the same moment
        while self._waiting:
            jobs, self._waiting = self._waiting, []
            for job, result in zip(jobs, await self._thread.do(partial(_done, jobs)), strict=True):
                _settle(job.future, result, result if isinstance(result, Exception) else None)
        self._serving = None

    def close(self) -> None:
        """End the thread."""
        self._thread.end_with(lambda: None)


def _done(jobs: Sequence[_Job]) -> list[Frames | Exception]:
    """The jobs' pictures, or what went wrong with them, one by one."""
    results: list[Any] = [_latent(job) for job in jobs]
    for vision in {job.vision for job in jobs}:
        mine = [i for i, job in enumerate(jobs) if job.vision is vision and isinstance(results[i], Tensor)]
        if not mine:
            continue
        frames: Sequence[Any]
        try:
            frames = list(picture(vision, torch.cat([results[i] for i in mine])))
        except Exception as error:
            frames = [error] * len(mine)
        for i, frame in zip(mine, frames, strict=True):
            results[i] = frame
    return results


def _latent(job: _Job) -> Tensor | Exception:
    try:
        return job.work()
    except Exception as error:
        return error
