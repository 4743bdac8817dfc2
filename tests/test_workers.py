import dataclasses
import itertools
import os
import re
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.pulse import beat
from worldmodels.ray_cluster import end_ray, start_ray
from worldmodels.workers import Pool

HERE = ComputeConfig(workers=0)
DIES, STOPS, SLEEPS, BEATS = 13, 21, 34, 55
"""Numbers on which a job dies, stops or sleeps once, or takes long."""


class Square:
    """A job that squares, and dies, hangs, refuses or fails on some numbers, some of them only once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.closed = folder, False

    def __call__(self, number: int) -> int:
        if number == DIES and self._first_time("died"):
            while not (self.folder / "last words").exists():  # until all earlier results have arrived
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        if number == STOPS and self._first_time("stopped"):
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(10_000)  # this thread may go on for a moment, as far as the next number
        if number == SLEEPS and self._first_time("slept"):
            time.sleep(10_000)
        if number == BEATS:
            for _ in range(12):
                time.sleep(0.5)
                beat()
        if number == -1:
            raise UserError("a number below zero")
        if number == -2:
            raise ZeroDivisionError("a bug")
        if number == -3:
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number

    def _first_time(self, what: str) -> bool:
        first = not (self.folder / what).exists()
        (self.folder / what).touch()
        return first

    def close(self) -> None:
        self.closed = True
        (self.folder / "closed").touch()


def test_without_workers_work_is_done_here_and_in_order(tmp_path: Path) -> None:
    with Pool(partial(Square, tmp_path), HERE) as pool:
        assert list(pool.map(range(5))) == [0, 1, 4, 9, 16]
        assert pool.size == 1
    assert (tmp_path / "closed").exists()


def test_without_workers_errors_arrive_as_they_are(tmp_path: Path) -> None:
    with Pool(partial(Square, tmp_path), HERE) as pool, pytest.raises(UserError, match="below zero"):
        list(pool.map([1, -1]))


def test_an_address_without_ray_is_refused() -> None:
    with pytest.raises(UserError, match=r"No Ray cluster answers at compute\.ray_address 127\.0\.0\.1:1"):
        start_ray(ComputeConfig(ray_address="127.0.0.1:1"))


@pytest.fixture(scope="module")
def two_workers() -> Iterator[ComputeConfig]:
    compute = ComputeConfig(workers=2)
    start_ray(compute)
    yield compute
    end_ray()


RAY = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


@RAY
def test_ray_workers_keep_the_order_survive_a_death_and_pass_on_errors(
    two_workers: ComputeConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test, because workers take seconds to start."""
    monkeypatch.setattr("worldmodels.workers.MAX_FAILURES", 2)
    with Pool(partial(Square, tmp_path), two_workers, describe="number {}".format) as pool:
        assert pool.size == 2
        results = pool.map(range(20))
        begun = list(itertools.islice(results, DIES))
        (tmp_path / "last words").touch()
        assert begun + list(results) == [n * n for n in range(20)]
        assert re.fullmatch(
            r"Worker \d \(process \d+\) died at number 13; a new one takes its place\.\n", capfd.readouterr().err
        )
        with pytest.raises(UserError, match=r"^a number below zero$"):
            list(pool.map([1, -1, 2]))
        with pytest.raises(ZeroDivisionError, match="a bug"):
            list(pool.map([1, -2]))
        assert list(pool.map([5, 6])) == [25, 36]
        said = (
            r"3 workers in a row have failed at number -3 \(the last, worker .*is kept: repeat the command to go on\.$"
        )
        with pytest.raises(UserError, match=said):
            list(pool.map([-3]))


@RAY
def test_a_worker_that_hangs_is_replaced_and_one_that_is_slow_is_not(
    two_workers: ComputeConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    hasty = dataclasses.replace(two_workers, hang_after=5.0)
    numbers = [1, STOPS, 2, SLEEPS, 3, BEATS]
    with Pool(partial(Square, tmp_path), hasty, describe="number {}".format) as pool:
        assert list(pool.map(numbers)) == [n * n for n in numbers]
    said = capfd.readouterr().err.splitlines()
    fate = "gave no sign of life for 5 s and was killed"
    assert len(said) == 2
    for number in (STOPS, SLEEPS):
        assert any(re.match(rf"Worker \d \(process \d+\) {fate} at number {number};", line) for line in said), said


class Tell:
    """A job that tells which process does it."""

    def __call__(self, _: int) -> int:
        time.sleep(0.1)
        return os.getpid()

    def close(self) -> None:
        """There is nothing to close."""


@RAY
def test_a_later_pool_may_have_more_workers_than_the_one_that_ray_was_started_for(two_workers: ComputeConfig) -> None:
    with Pool(Tell, dataclasses.replace(two_workers, workers=3)) as pool:
        tasks, seen = iter(range(1_000)), set[int]()
        while len(seen) < 3:  # until the last worker is up, the others do its work
            seen |= set(pool.map(itertools.islice(tasks, 6)))
            assert next(tasks, None) is not None, "the third worker has not come up"


@RAY
def test_ray_workers_play_what_one_process_plays(two_workers: ComputeConfig, tiny_run, tiny_agent) -> None:
    from worldmodels.evolution.fitness import Fitness, Worlds

    seeds = np.arange(1, 8)
    candidates = np.random.default_rng(0).normal(0, 1, (3, tiny_agent.form.parameters)).astype(np.float32)
    results = []
    for workers in (0, 2):
        compute = dataclasses.replace(tiny_run.config.compute, workers=workers)
        with Fitness(Worlds(tiny_agent, compute, 1.0)) as fitness:
            for world in ("real", "dream"):
                results.append(fitness.evaluate(candidates, seeds, world).returns)
    assert np.allclose(results[0], results[2], atol=1e-6)
    assert np.allclose(results[1], results[3], atol=1e-4)
