import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from worldmodels.agent import blank_agent
from worldmodels.config import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.evolution.guards import training_guards
from worldmodels.evolution.history import read_history
from worldmodels.evolution.train import train_controller
from worldmodels.memory.train import train_memory
from worldmodels.runs import Run


def with_members(run: Run, count: int) -> Run:
    memory = dataclasses.replace(run.config.memory, members=count)
    return Run(run.folder, dataclasses.replace(run.config, memory=memory))


@pytest.fixture(scope="module")
def trained(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The tiny run with three Ms."""
    folder = tmp_path_factory.mktemp("members") / "run"
    shutil.copytree(tiny_run.folder, folder)
    run = with_members(Run(folder, tiny_run.config), 3)
    train_memory(run)
    return run


@pytest.fixture
def three(trained: Run, tmp_path: Path) -> Run:
    """A copy of it, to be worked on."""
    shutil.copytree(trained.folder, tmp_path / "run")
    return Run(tmp_path / "run", trained.config)


def evolve(run: Run, name: str, **options: object) -> Run:
    controller = dataclasses.replace(run.config.controllers["dream"], **options)
    run = Run(run.folder, dataclasses.replace(run.config, controllers=run.config.controllers | {name: controller}))
    train_controller(run, name)
    return run


def test_each_guard_makes_another_evolution(three: Run) -> None:
    plain = {"dropout": 0.0, "ensemble": "none"}
    guards = {
        "plain": {},
        "dropout": {"dropout": 0.5},
        "member": {"ensemble": "member"},
        "other": {"ensemble": "other"},
        "penalty": {"ensemble": "penalty", "disagreement": 2.0},
        "weighed": {"ends": "weighed"},
    }
    fitness = {}
    for name, options in guards.items():
        evolve(three, name, **(plain | options))
        fitness[name] = tuple(read_history(three.controller(name).folder)[0].fitness)
    assert fitness["plain"] == tuple(read_history(three.controller("dream").folder)[0].fitness)
    assert len(set(fitness.values())) == len(guards)


def test_a_penalty_of_no_weight_is_no_guard(three: Run) -> None:
    evolve(three, "weightless", ensemble="penalty", disagreement=0.0)
    fitness = [read_history(three.controller(name).folder)[0].fitness for name in ("weightless", "dream")]
    assert fitness[0] == pytest.approx(fitness[1])


def test_further_ms_leave_the_controllers_without_an_ensemble_as_they_were(three: Run) -> None:
    before = (three.controller("dream").folder / "done.json").read_bytes()
    train_controller(three, "dream")
    assert (three.controller("dream").folder / "done.json").read_bytes() == before
    longer = dataclasses.replace(three.config.controllers["dream"], generations=6)
    run = Run(three.folder, dataclasses.replace(three.config, controllers={"dream": longer}))
    train_controller(run, "dream")
    assert len(read_history(run.controller("dream").folder)) == 6


@pytest.mark.parametrize("members", [2, 4])
def test_an_ensemble_of_another_size_is_refused(three: Run, members: int) -> None:
    evolve(three, "new", ensemble="member")
    run = with_members(three, members)
    train_memory(run)
    with pytest.raises(UserError, match=r"made with members = 3, and . is asked for|made from another memory-3"):
        evolve(run, "new", ensemble="member", generations=6)


@pytest.mark.parametrize("guard", [{"ensemble": "other"}, {"dropout": 0.1}, {"start": "any"}, {"ends": "weighed"}])
def test_options_of_dreams_are_refused_where_c_is_evolved_in_the_game(tiny_run: Run, guard: dict[str, object]) -> None:
    with pytest.raises(UserError, match=rf"controllers\.new\.{next(iter(guard))} is of dreams"):
        evolve(tiny_run, "new", world="real", **guard)


def test_ends_that_m_does_not_predict_cannot_be_weighed(tiny_run: Run) -> None:
    config = dataclasses.replace(tiny_run.config, memory=dataclasses.replace(tiny_run.config.memory, done_head=False))
    agent = blank_agent(tiny_run, ControllerConfig())
    with pytest.raises(UserError, match=r"no ends that could be weighed.*memory\.done_head"):
        training_guards(Run(tiny_run.folder, config), ControllerConfig(world="dream", ends="weighed"), agent.starts)


def test_an_ensemble_of_one_is_refused(tiny_run: Run) -> None:
    with pytest.raises(UserError, match=r"more than one M.*--memory\.members 3"):
        evolve(tiny_run, "new", ensemble="penalty")
    assert not tiny_run.controller("new").started


def test_an_ensemble_whose_ms_are_not_trained_is_refused(tiny_run: Run) -> None:
    with pytest.raises(UserError, match=r"M 1 is missing in .*train_memory\.py first"):
        evolve(with_members(tiny_run, 3), "new", ensemble="member")


def test_ms_of_other_latents_are_refused(trained: Run) -> None:
    agent = blank_agent(trained, ControllerConfig())
    config = ControllerConfig(world="dream", ensemble="member")
    assert len(training_guards(trained, config, agent.starts).others) == 2
    with pytest.raises(UserError, match=r"memory-1 is of other latents than M"):
        training_guards(trained, config, agent.starts._replace(mu=agent.starts.mu + 1))


def test_a_controller_of_the_real_game_asks_for_no_ms(tiny_run: Run) -> None:
    agent = blank_agent(tiny_run, ControllerConfig())
    assert not training_guards(tiny_run, ControllerConfig(ensemble="member"), agent.starts).others


def test_fitness_in_a_guarded_dream_is_the_same_over_any_number_of_lanes_and_parts(trained: Run) -> None:
    config = dataclasses.replace(trained.config.controllers["dream"], ensemble="member", dropout=0.3)
    agent = blank_agent(trained, config)
    guards = training_guards(trained, config, agent.starts)
    candidates = np.random.default_rng(1).normal(0, 1, (4, agent.form.parameters)).astype(np.float32)
    played = []
    for lanes, parts in ((4, 1), (70, 3)):
        compute = dataclasses.replace(trained.config.compute, dream_lanes=lanes)
        with Fitness(Worlds(agent, compute, 1.0, guards=guards)) as fitness:
            fitness.pool.size = parts
            played.append(fitness.evaluate(candidates, np.arange(5), "dream"))
    assert all(np.array_equal(one, other) for one, other in zip(*played, strict=True))
