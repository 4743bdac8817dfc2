"""A Ray cluster of two nodes (on this machine) plays what one process plays, and goes on without one of them."""

import dataclasses
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import contents

from worldmodels.agent import blank_agent
from worldmodels.collect import collect_rollouts
from worldmodels.collect.jobs import job_maker
from worldmodels.config import ComputeConfig
from worldmodels.evolution.fitness import Fitness, PlayTrials, Worlds
from worldmodels.play import Cuts, Outcomes
from worldmodels.ray_cluster import start_ray
from worldmodels.runs import Run
from worldmodels.workers import Pool

RAY = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


def where_from() -> Callable[[int], tuple[str, bool]]:
    """A job that tells on which node it runs, and whether this package was sent there."""

    class WhereFrom:  # not of the module's: that would have to be imported on the nodes
        def __call__(self, number: int) -> tuple[str, bool]:
            import sys
            import time
            from pathlib import Path

            import ray

            time.sleep(0.5)
            sent = [Path(path) for path in sys.path if "runtime_resources" in path]
            found = any((path / "worldmodels" / "workers.py").exists() for path in sent)
            return ray.get_runtime_context().get_node_id(), found

    return WhereFrom


def test_what_is_sent_to_workers_names_no_folder_of_the_run(tiny_car_run: Run) -> None:
    agent = blank_agent(tiny_car_run, tiny_car_run.config.controllers["real"])
    for job in (partial(PlayTrials, Worlds(agent, ComputeConfig(), 1.0)), job_maker(tiny_car_run.config, None)):
        assert str(tiny_car_run.folder).encode() not in pickle.dumps(job)


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A running cluster of two nodes with a core each, whose processes know nothing of this code's whereabouts."""
    import ray
    from ray.cluster_utils import Cluster

    with monkeypatch.context() as elsewhere:
        elsewhere.delenv("PYTHONPATH", raising=False)
        elsewhere.chdir(tmp_path_factory.mktemp("elsewhere"))
        found = Cluster()
        for _ in range(2):
            found.add_node(num_cpus=1, include_dashboard=False)
    yield found
    ray.shutdown()
    found.shutdown()


@RAY
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_nodes_play_what_one_process_plays_and_one_may_die(
    cluster: Any, tiny_car_run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    compute = dataclasses.replace(tiny_car_run.config.compute, ray_address=cluster.address, workers=-1)
    start_ray(compute)
    with Pool(where_from(), compute) as pool:
        told = list(pool.map(range(8)))
    assert len({node for node, _ in told}) == 2
    assert all(sent for _, sent in told)

    agent = blank_agent(tiny_car_run, tiny_car_run.config.controllers["real"])
    candidates = np.random.default_rng(1).normal(0, 1, (4, agent.form.parameters)).astype(np.float32)

    def played(fitness: Fitness) -> Outcomes:
        return fitness.evaluate(candidates, np.arange(1, 5), "real", Cuts(max_steps=150))

    with Fitness(Worlds(agent, dataclasses.replace(compute, workers=0), 1.0)) as fitness:
        expected = played(fitness)
    with Fitness(Worlds(agent, compute, 1.0)) as fitness:
        assert_same(played(fitness), expected)
        assert fitness.pool.size == 2
        second = next(iter(cluster.worker_nodes))
        killer = threading.Timer(0.5, second.kill_raylet, kwargs={"check_alive": False})
        killer.start()
        assert_same(played(fitness), expected)
        killer.join()
        assert_same(played(fitness), expected)
        assert "died at candidate" in capfd.readouterr().err
        cluster.add_node(num_cpus=2, include_dashboard=False)
        time.sleep(5)
        assert_same(played(fitness), expected)
        assert fitness.pool.size >= 3

    again = Run(tmp_path / "run", dataclasses.replace(tiny_car_run.config, compute=compute))
    collect_rollouts(again)
    assert contents(again.rollouts.folder) == contents(tiny_car_run.rollouts.folder)


def assert_same(found: Outcomes, expected: Outcomes) -> None:
    """Equal to the bit."""
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))
