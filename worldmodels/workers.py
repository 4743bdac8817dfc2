"""Work spread over processes: the same call plays in this process, on this machine's cores, or on a Ray cluster.

A `Pool` keeps one job object per worker (games, networks) and hands it tasks. Tasks carry their own seeds, so it does
not matter which worker does one, nor whether it is done twice because a worker died.
"""

import atexit
import collections
import logging
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.temporary import temporary_folder

Task = TypeVar("Task")
Result = TypeVar("Result")
Job = Callable[[Task], Result]

MAX_FAILURES = 5
"""So many deaths of workers in a row, without a result between them, stop the work."""
OBJECT_STORE_BYTES = 256 * 2**20


class Pool(Generic[Task, Result]):
    """Workers that each hold a job made by `make_job()`.

    Args:
        make_job: makes a worker's job; it and what it holds are sent to the workers, so it has to be picklable.
        compute: how many workers, and where. With `workers: 0` there is one job, in this process, and no Ray.
        threads: how many tasks a worker does at a time, each in a thread, if its job waits for other processes.
    """

    def __init__(self, make_job: Callable[[], Job[Task, Result]], compute: ComputeConfig, threads: int = 1) -> None:
        self._local: Job[Task, Result] | None = None
        self._actors: list[Any] = []
        self._threads = threads
        if compute.workers == 0:
            self._local = make_job()
            self.size = 1
            return
        ray = start_ray(compute)
        self.size = compute.workers if compute.workers > 0 else max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._shipped = ray.put(make_job)
        self._actors = [self._start_worker() for _ in range(self.size)]

    def _start_worker(self) -> Any:
        import ray

        return ray.remote(Worker).options(num_cpus=1, max_concurrency=self._threads).remote(self._shipped)

    def __enter__(self) -> "Pool[Task, Result]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers."""
        if self._actors:
            import ray

            for actor in self._actors:
                ray.kill(actor, no_restart=True)
        elif hasattr(self._local, "close"):
            self._local.close()  # type: ignore[union-attr]
        self._actors, self._local = [], None

    def map(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Results in the order of the tasks; a few tasks a worker are under way at a time.

        Raises:
            UserError: workers died again and again, or a task raised one.
        """
        if self._local is not None:
            yield from map(self._local, tasks)
        else:
            yield from self._map_over_ray(tasks)

    def _map_over_ray(self, tasks: Iterable[Task]) -> Iterator[Result]:
        import ray

        source = enumerate(tasks)
        places = (self._threads + 1) * list(range(self.size))  # at every worker, one task waits for its turn
        idle = collections.deque(places)
        running: dict[Any, tuple[int, Task, int]] = {}
        finished: dict[int, Result] = {}
        again: list[tuple[int, Task]] = []
        wanted = issued = failures = 0
        while True:
            while idle and (again or issued - wanted < 2 * len(places)):
                item = again.pop() if again else next(source, None)
                if item is None:
                    break
                slot = idle.popleft()
                running[self._actors[slot].run.remote(item[1])] = (*item, slot)
                issued = max(issued, item[0] + 1)
            if not running:
                return
            (reference, *_), _ = ray.wait(list(running), num_returns=1)
            index, task, slot = running.pop(reference)
            idle.append(slot)
            try:
                finished[index] = ray.get(reference)
                failures = 0
            except ray.exceptions.RayTaskError as error:
                raise error.cause if isinstance(error.cause, UserError) else error from None
            except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError) as error:
                again.append((index, task))
                if not self._is_alive(slot):
                    failures += 1
                    self._replace(slot, index, failures, error)
            while wanted in finished:
                yield finished.pop(wanted)
                wanted += 1

    def _is_alive(self, slot: int) -> bool:
        """Whether the worker in a slot answers; it does if it was replaced since it failed."""
        import ray

        try:
            return bool(ray.get(self._actors[slot].ping.remote()))
        except ray.exceptions.RayActorError:
            return False

    def _replace(self, slot: int, index: int, failures: int, error: Exception) -> None:
        """Put a new worker in the place of a dead one; UserError when that has not helped before."""
        reason = " ".join(str(error).split())[:300]
        if failures > MAX_FAILURES:
            raise UserError(
                f"Workers died {failures} times in a row, last at task {index} ({reason}). "
                "What is finished is kept; repeat the command to go on."
            ) from error
        print(f"A worker died at task {index}; a new one takes its place.", file=sys.stderr)
        self._actors[slot] = self._start_worker()


class Worker:
    """One process of its own with one job."""

    def __init__(self, make_job: Callable[[], Job[Any, Any]]) -> None:
        from worldmodels.process import become_worker

        become_worker()
        self.job = make_job()

    def run(self, task: Any) -> Any:
        """Do one task."""
        return self.job(task)

    def ping(self) -> bool:
        """Answer."""
        return True


def start_ray(compute: ComputeConfig) -> Any:
    """Ray, connected to the cluster of `compute.ray_address` or to one of its own on this machine; started once.

    Raises:
        UserError: nothing answers at the address.
    """
    import ray

    if ray.is_initialized():
        return ray
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if compute.ray_address is not None:
        package = str(Path(__file__).parent)
        try:
            _knock(compute.ray_address)
            ray.init(compute.ray_address, runtime_env={"py_modules": [package]}, **common)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"No Ray cluster answers at compute.ray_address {compute.ray_address}: "
                "start one with `ray start --head`, or leave the address out."
            ) from error
        return ray
    folder = str(temporary_folder("ray"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(ray.shutdown)
    ray.init(
        num_cpus=compute.workers if compute.workers > 0 else None,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=folder,
        **common,
    )
    return ray


def _knock(address: str) -> None:
    """Raise OSError if nothing listens at HOST:PORT, which Ray itself would take minutes to find out."""
    if found := re.fullmatch(r"(?:ray://)?([^/:]+):(\d{1,5})", address):
        socket.create_connection((found[1], int(found[2])), timeout=10).close()
