import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import scaling
import soak

LINK = 1e9 / 8
FREE = scaling.Costs(0.0, 0.0, 0.0, 0.001, [100], 0, 0, 0)


def test_lanes_take_the_next_episode_when_theirs_is_over() -> None:
    lengths = np.array([5, 3, 3, 1])
    assert scaling.part_steps(lengths, 1) == 12
    assert scaling.part_steps(lengths, 9) == 5
    assert scaling.part_steps(lengths, 2) == 6  # 5 + 1 and 3 + 3


def test_work_without_overhead_divides_among_as_many_workers_as_there_are_episodes() -> None:
    assert scaling.generation(FREE, 1, 8, 4, LINK) == pytest.approx(8 * 4 * 100 * 0.001)
    for workers in (1, 2, 8, 32):
        assert scaling.efficiency(FREE, workers, 8, 4, LINK) == pytest.approx(1)
    assert scaling.efficiency(FREE, 64, 8, 4, LINK) == pytest.approx(0.5)


def test_calls_and_bytes_are_the_drivers_work() -> None:
    calls = FREE._replace(call=0.5, lane=0.0)
    assert scaling.generation(calls, 8, 8, 4, LINK) == pytest.approx(8 * 0.25 + 0.25)
    sent = FREE._replace(parameters=1_000_000, lane=0.0)
    assert scaling.generation(sent, 8, 8, 4, LINK) == pytest.approx(8 * 1_000_000 / LINK)


def test_more_workers_need_a_larger_population() -> None:
    costs = FREE._replace(step=0.01, lengths=[50, 100, 400])
    wanted = [scaling.busy_population(costs, workers, 16, LINK) for workers in (1, 8, 64)]
    assert wanted == sorted(wanted)
    assert wanted[0] < wanted[-1]


def test_growth_is_megabytes_an_hour_after_the_first_quarter() -> None:
    seconds = np.arange(0.0, 3600.0, 60.0)
    megabytes = 100 + 12 * seconds / 3600
    megabytes[seconds < 800] = 1.0  # warming up
    assert soak.growth(seconds, megabytes) == pytest.approx(12)
    assert soak.growth(seconds[:2], megabytes[:2]) is None


def test_the_memory_of_this_process_and_of_those_below_it_is_found() -> None:

    with subprocess.Popen(["sleep", "100"]) as child:
        held = dict(soak.memory_below(os.getpid()))
        child.kill()
    assert held[f"driver {os.getpid()}"] > 20 * 2**20
    assert f"sleep {child.pid}" in held
