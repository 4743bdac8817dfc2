"""Whatever is killed while TakeCover is collected, no finished episode is lost and none is repeated."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from processes import below, is_engine, is_ray_worker

from worldmodels.collect import collect_rollouts
from worldmodels.config import CollectConfig, ComputeConfig, Config
from worldmodels.data.rollouts import EPISODES, Rollouts
from worldmodels.options import load_config
from worldmodels.runs import Run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SCRIPT = """
import sys
from pathlib import Path
import worldmodels.collect.stage
from worldmodels.collect import collect_rollouts
from worldmodels.options import load_config
from worldmodels.runs import Run, stored_options
worldmodels.collect.stage.FLUSH_ROWS = 300
folder = Path(sys.argv[1])
collect_rollouts(Run(folder, load_config([], stored_options(folder))))
"""


def config(workers: int) -> Config:
    """A small collection of TakeCover."""
    collect = CollectConfig(policy="held", episodes=40, max_steps=80)
    return dataclasses.replace(load_config(["take_cover"]), collect=collect, compute=ComputeConfig(workers=workers))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return finished(tmp_path_factory.mktemp("undisturbed") / "run")


def finished(folder: Path) -> pa.Table:
    """What a collection holds that is called (again) and not disturbed."""
    run = Run(folder, config(workers=0))
    collect_rollouts(run)
    return Rollouts(run.rollouts.folder / EPISODES).data.to_table()


def assert_same(table: pa.Table, expected: pa.Table) -> None:
    """Equal byte for byte in every column."""
    assert table.schema == expected.schema
    for name in expected.column_names:
        assert table[name].combine_chunks().equals(expected[name].combine_chunks()), name


class Collection:
    """A collection under way in a process of its own, from its beginning or from where it was left."""

    def __init__(self, folder: Path, workers: int) -> None:
        run = Run(folder, config(workers))
        folder.mkdir(exist_ok=True)
        run.record()
        self.data = run.rollouts.folder / EPISODES
        self.said = folder.with_suffix(".said")
        with self.said.open("w") as said:
            self.process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)], stderr=said)

    def written(self) -> int:
        """How often episodes were written."""
        return len(list(self.data.glob("_versions/*.manifest")))

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something is true of the collection, which has to be under way still."""
        deadline = time.monotonic() + 120
        while not condition():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def engines(self) -> list[int]:
        """The engines that it plays in."""
        return below(self.process.pid, is_engine)

    def ended(self) -> None:
        """Wait for its end, which has to be a good one."""
        assert self.process.wait(240) == 0, self.said.read_text()


def test_an_engine_that_is_killed(undisturbed: pa.Table, tmp_path: Path) -> None:
    collection = Collection(tmp_path / "run", workers=0)
    for times in (1, 2):
        collection.wait_for(
            lambda times=times: collection.written() >= times and below(collection.process.pid, is_engine)
        )
        os.kill(below(collection.process.pid, is_engine)[0], signal.SIGKILL)
    collection.ended()
    assert_same(finished(tmp_path / "run"), undisturbed)


def killed(folder: Path, workers: int, writes: int) -> int:
    """Go on with a collection and kill it once it has written a few times; returns how many episodes it then has."""
    collection = Collection(folder, workers)
    collection.wait_for(lambda: collection.written() >= writes)
    collection.process.kill()
    collection.process.wait()
    return len(Rollouts(collection.data))


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_collection_that_is_killed(undisturbed: pa.Table, tmp_path: Path, workers: int) -> None:
    assert 0 < killed(tmp_path / "run", workers, writes=1) <= killed(tmp_path / "run", workers, writes=3) < 40
    assert_same(finished(tmp_path / "run"), undisturbed)


@pytest.mark.slow
def test_a_worker_that_is_killed(undisturbed: pa.Table, tmp_path: Path) -> None:
    collection = Collection(tmp_path / "run", workers=2)
    collection.wait_for(lambda: collection.written() >= 1)
    for pid in below(collection.process.pid, is_ray_worker):
        os.kill(pid, signal.SIGKILL)
    collection.ended()
    assert "died at the episode with seed" in collection.said.read_text()
    assert_same(finished(tmp_path / "run"), undisturbed)
