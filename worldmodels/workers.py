"""Work spread over processes: the same call plays in this process, on this machine's cores, or on a Ray cluster.

A `Pool` keeps one job object per worker (games, networks) and hands it tasks. Tasks carry their own seeds, so it does
not matter which worker does one, nor whether it is done twice because a worker died or hung.
"""

import contextlib
import itertools
import math
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

from worldmodels.config import ComputeConfig
from worldmodels.crew import Seat
from worldmodels.errors import UserError
from worldmodels.metrics import say
from worldmodels.ray_cluster import start_ray

Task = TypeVar("Task")
Result = TypeVar("Result")
Job = Callable[[Task], Result]

MAX_FAILURES = 5
"""A piece of work that so many workers in a row have not survived stops the run at the next one."""
ASK_EVERY = 10.0
"""Seconds between two questions for a sign of life, at most."""
HIRING = 60.0
"""Seconds without any worker after which the person at the terminal is told."""


class Pool(Generic[Task, Result]):
    """Workers that each hold a job made by `make_job()`.

    Args:
        make_job: makes a worker's job; it and what it holds are sent to the workers, so it has to be picklable.
        compute: how many workers, and where. With `workers: 0` there is one job, in this process, and no Ray.
        describe: what a task is called in messages.

    Attributes:
        size: number of workers that there are to be; of a cluster that grows, as of the last `map`.
    """

    def __init__(
        self,
        make_job: Callable[[], Job[Task, Result]],
        compute: ComputeConfig,
        describe: Callable[[Task], str] = "task {}".format,
    ) -> None:
        self._local: Job[Task, Result] | None = None
        self._seats: list[Seat] = []
        self._compute, self._describe = compute, describe
        self._numbers = itertools.count()  # of tasks, over all calls of `map`
        if compute.workers == 0:
            self._local = make_job()
            self.size = 1
            return
        self._ray = start_ray(compute)
        self._shipped = self._ray.put(make_job)
        self._grow()

    def _grow(self) -> None:
        """As many seats as are asked for; a worker for every core that has joined the cluster."""
        count = self._compute.workers
        if count < 0:
            count = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        own_cluster = self._compute.ray_address is None  # of as many cores as the first pool asked for
        while len(self._seats) < count:
            self._seats.append(Seat(self._ray, len(self._seats), self._shipped, cores=0 if own_cluster else 1))
        self.size = len(self._seats)

    def __enter__(self) -> "Pool[Task, Result]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        for seat in self._seats:
            seat.end()
        if hasattr(self._local, "close"):
            self._local.close()  # type: ignore[union-attr]
        self._seats, self._local = [], None

    def map(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Results in the order of the tasks; a few tasks a worker are under way at a time.

        Raises:
            UserError: workers died or hung at the same task again and again, or a task raised one.
        """
        if self._local is not None:
            yield from map(self._local, tasks)
            return
        self._grow()
        try:
            yield from _Mapping(self).results(tasks)
        finally:
            for seat in self._seats:
                seat.tasks.clear()


class _Mapping(Generic[Task, Result]):
    """One call of `Pool.map` over Ray: which tasks wait, which are under way, and how often each has failed."""

    def __init__(self, pool: Pool[Task, Result]) -> None:
        self._ray, self._seats, self._describe = pool._ray, pool._seats, pool._describe
        self._numbers, self._hang_after = pool._numbers, pool._compute.hang_after
        self._losses = self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError
        self._interval = min(self._hang_after / 4, ASK_EVERY)
        self._tasks: dict[int, Task] = {}  # that are not finished
        self._waiting: deque[int] = deque()
        self._running: dict[Any, tuple[int, Seat]] = {}  # by the reference of the result
        self._finished: dict[int, Result] = {}
        self._failures: Counter[int] = Counter()
        self._manned = time.monotonic()

    def results(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Results in order; a few tasks are drawn ahead of them."""
        source, order = zip(self._numbers, tasks, strict=False), deque[int]()
        ahead = 4 * len(self._seats)
        while True:
            for number, task in itertools.islice(source, ahead - len(order)):
                self._tasks[number] = task
                self._waiting.append(number)
                order.append(number)
            if not self._tasks:
                return
            self._hand_out()
            self._attend()
            while order and order[0] in self._finished:
                yield self._finished.pop(order.popleft())
            self._mention_vacancy()

    def _mention_vacancy(self) -> None:
        """Say so, once, when there has been no worker for a while."""
        if any(seat.up for seat in self._seats):
            self._manned = time.monotonic()
        elif time.monotonic() - self._manned > HIRING:
            say("No worker has come up yet: does the Ray cluster have a free core?")
            self._manned = math.inf

    def _hand_out(self) -> None:
        """Give waiting tasks to workers, the least busy one first.

        While all work, a task waits for its turn at each; while one is still coming up, tasks are kept for it.
        """
        room = 1 + all(seat.up for seat in self._seats)
        free = [seat for seat in self._seats if seat.up and len(seat.tasks) < room]
        while self._waiting and free:
            seat = min(free, key=lambda seat: len(seat.tasks))
            number = self._waiting.popleft()
            self._running[seat.give(number, self._tasks[number])] = number, seat
            if len(seat.tasks) == room:
                free.remove(seat)

    def _attend(self) -> None:
        """Wait for a result, or an answer, or for a while; replace workers that turn out to be dead or hung."""
        answers = {seat.waits_for: seat for seat in self._seats if seat.waits_for is not None}
        arrived, _ = self._ray.wait([*self._running, *answers], num_returns=1, timeout=self._interval)
        for reference in arrived:
            seat = answers[reference] if reference in answers else self._running[reference][1]
            try:
                if reference in answers:
                    seat.listen()
                else:
                    self._take(reference)
            except self._ray.exceptions.RayTaskError as error:
                raise error.cause if isinstance(error.cause, UserError) else error from None
            except self._losses as error:
                self._replace(seat, f"died ({_in_short(error)})", "died")
        for seat in self._seats:
            if seat.still(self._interval) > self._hang_after and not self._answers_after_all(seat):
                seat.end_process()
                hung = f"gave no sign of life for {self._hang_after:g} s"
                self._replace(seat, hung, f"{hung} and was killed")

    def _answers_after_all(self, seat: Seat) -> bool:
        """Whether the answer that is due has come: nobody has listened if it was this process that stood still."""
        if seat.waits_for is None or not self._ray.wait([seat.waits_for], timeout=self._interval)[0]:
            return False
        with contextlib.suppress(*self._losses):  # of which the next round hears
            seat.listen()
        return True

    def _take(self, reference: Any) -> None:
        """Take in a result; raises RayError if there is none."""
        number, seat = self._running[reference]
        self._finished[number] = self._ray.get(reference)
        del self._running[reference], self._tasks[number]
        seat.tasks.remove(number)

    def _replace(self, seat: Seat, cause: str, fate: str) -> None:
        """Put a new worker on a seat, and its tasks back; UserError when that has not helped before."""
        what = " and ".join(self._describe(self._tasks[number]) for number in seat.under_way()) or "its start"
        failures = seat.stillborn = seat.stillborn + (not seat.up)
        for number in seat.under_way():
            self._failures[number] += 1
            failures = max(failures, self._failures[number])
        if failures > MAX_FAILURES:
            raise UserError(
                f"{failures} workers in a row have failed at {what} (the last, {str(seat)[0].lower()}{str(seat)[1:]}, "
                f"{cause}), and what is finished is kept: repeat the command to go on."
            )
        say(f"{seat} {fate} at {what}; a new one takes its place.")
        self._running = {ref: held for ref, held in self._running.items() if held[1] is not seat}
        self._waiting.extendleft(reversed(seat.tasks))
        seat.end()
        seat.start()


def _in_short(error: Exception) -> str:
    """Both ends of Ray's long account of a death: what happened, and what raised it."""
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"
