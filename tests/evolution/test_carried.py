"""C carried over to another V and M does there what it did with its own."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from counting import CounterVision
from evolving import evolve, with_controller
from torch import Tensor

from worldmodels.agent import Agent, agent_of_run, blank_agent, load_parameters
from worldmodels.data.rollouts import rollouts_of
from worldmodels.errors import UserError
from worldmodels.evolution import carried
from worldmodels.evolution.carried import Moments, carried_over
from worldmodels.evolution.first_mean import FIRST, first_mean
from worldmodels.evolution.history import read_history
from worldmodels.evolution.train import train_controller
from worldmodels.kept import CONTROLLER
from worldmodels.runs import Run
from worldmodels.tensors import save_tensors
from worldmodels.vision import Posterior

RECODING = np.array(
    [[0, 2, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 1, 0, 3], [0, 0, 0, -1, 0], [0, 0, 0, 1, 0.5]], np.float32
)
"""Turns the counter's latents into others that tell as much."""


class Recoded(CounterVision):
    """Sees the same numbers in another order, mixed and shifted."""

    def encode(self, frames: Tensor) -> Posterior:
        posterior = super().encode(frames)
        return Posterior(posterior.mu @ torch.from_numpy(RECODING) + 1, posterior.logvar)


def sighted(agent: Agent, **options: object) -> Agent:
    """The agent with a C of other options, that does something with all that it sees."""
    agent = dataclasses.replace(agent, config=dataclasses.replace(agent.config, **options))
    parameters = np.random.default_rng(0).normal(size=agent.form.parameters)
    return dataclasses.replace(agent, parameters=parameters.astype(np.float32))


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large weights cost nothing."""
    monkeypatch.setattr(carried, "RIDGE", 1e-9)


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("steps", [3, 256])
def test_other_eyes_that_see_as_much_lose_nothing(
    tiny_run: Run, tiny_agent: Agent, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(carried, "STEPS", steps)
    monkeypatch.setattr(carried, "LANES", 5)
    agent = sighted(tiny_agent, inputs="z")
    successor = dataclasses.replace(agent, vision=Recoded(agent.vision.config).eval())
    parameters, explained = carried_over(agent, successor, rollouts_of(tiny_run), tiny_run.config.compute)
    assert explained == pytest.approx(np.ones(1), abs=1e-6)
    frames = rollouts_of(tiny_run).frames(slice(0, 20))
    for frame in frames:
        does = [
            player.form.layers(given[None])[0][0][0] @ player.vision.encode(torch.from_numpy(frame[None])).mu[0]
            + player.form.layers(given[None])[0][1][0]
            for player, given in ((agent, agent.parameters), (successor, parameters))
        ]
        assert torch.allclose(*does, atol=1e-3)


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("inputs", ["zh", "zch"])
@pytest.mark.parametrize("bias", [True, False])
def test_with_the_same_v_and_m_all_is_explained(tiny_run: Run, tiny_agent: Agent, inputs: str, bias: bool) -> None:
    agent = sighted(tiny_agent, inputs=inputs, bias=bias)
    parameters, explained = carried_over(agent, agent, rollouts_of(tiny_run), tiny_run.config.compute)
    assert parameters.shape == agent.parameters.shape
    assert explained == pytest.approx(np.ones(1), abs=1e-4)


def test_a_c_with_a_hidden_layer_is_followed_by_a_linear_one_as_far_as_it_goes(
    tiny_run: Run, tiny_agent: Agent
) -> None:
    hidden, blind = sighted(tiny_agent, hidden=3), sighted(tiny_agent, inputs="z", bias=False)
    explained = [
        carried_over(hidden, successor, rollouts_of(tiny_run), tiny_run.config.compute)[1][0]
        for successor in (sighted(tiny_agent), blind)
    ]
    assert 1 > explained[0] > explained[1]


def test_only_the_latest_episodes_count(tiny_run: Run, tiny_agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    rollouts, agent = rollouts_of(tiny_run), sighted(tiny_agent)
    monkeypatch.setattr(carried, "EPISODES", 2)
    rows = sum(len(seen) for seen, _ in carried._watched(agent, agent, rollouts, tiny_run.config.compute))
    assert rows == rollouts.lengths[-2:].sum()


def test_moments_fit_as_least_squares_does() -> None:
    random = np.random.default_rng(1)
    x, noise = random.normal(size=(200, 4)), random.normal(size=(200, 2))
    y = x @ random.normal(size=(4, 2)) + 0.5 * noise + 3
    moments = Moments.none(4, 2)
    for part in np.array_split(np.arange(200), 3):
        moments.add(x[part], y[part])
    weights = moments.fit(np.zeros(4))
    assert np.allclose(weights, np.linalg.lstsq(x, y, rcond=None)[0].T)
    residual = np.square(y - x @ weights.T).sum(0)
    assert np.allclose(moments.explained(weights), 1 - residual / (200 * y.var(0)))
    augmented = np.concatenate([x, np.sqrt(200 * 0.1) * np.eye(4)]), np.concatenate([y, np.zeros((4, 2))])
    assert np.allclose(moments.fit(np.full(4, 0.1)), np.linalg.lstsq(*augmented, rcond=None)[0].T)


def test_an_output_that_never_varies_has_nothing_to_be_explained() -> None:
    moments = Moments.none(1, 2)
    moments.add(np.array([[1.0], [2.0]]), np.array([[3.0, 1.0], [3.0, 2.0]]))
    explained = moments.explained(moments.fit(np.zeros(1)))
    assert np.isnan(explained[0])
    assert explained[1] == pytest.approx(1)


@pytest.fixture
def after(tiny_run: Run, tmp_path: Path) -> Run:
    """A run with another V and M on the tiny run's rollouts, whose C begins at that run's behaviour."""
    run = Run(tmp_path / "after", with_controller(tiny_run.config, "real", begin="behaviour", generations=2))
    for stage in (tiny_run.rollouts, tiny_run.vision, tiny_run.memory):
        shutil.copytree(stage.folder, run.folder / stage.folder.name)
    return Run(run.folder, dataclasses.replace(run.config, previous=str(tiny_run.folder), anew="vision"))


def begins_at(run: Run) -> np.ndarray | None:
    run.controller("real").folder.mkdir(parents=True, exist_ok=True)
    return first_mean(run, "real", blank_agent(run, run.config.controllers["real"]))


def test_behaviour_is_carried_over_once_whatever_begins_anew(
    tiny_run: Run, after: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    first = begins_at(after)
    assert first is not None
    expected, _ = carried_over(
        agent_of_run(tiny_run, "real"),
        blank_agent(after, after.config.controllers["real"]),
        rollouts_of(after),
        after.config.compute,
    )
    assert np.array_equal(first, expected)
    said = capsys.readouterr().err
    assert f"does most nearly what {tiny_run.controller('real').folder} does" in said
    assert np.array_equal(begins_at(after), first)
    assert "most nearly" not in capsys.readouterr().err
    weights = with_controller(after.config, "real", begin="weights")
    assert begins_at(Run(after.folder, weights)) is None


def test_evolution_goes_on_from_there_after_a_kill(after: Run, tmp_path: Path) -> None:
    train_controller(after, "real")
    whole = read_history(after.controller("real").folder)
    assert after.controller("real").options()["previous"]
    kept = load_parameters(after.controller("real").folder / CONTROLLER)
    shutil.rmtree(after.controller("real").folder)
    train_controller(Run(after.folder, with_controller(after.config, "real", generations=1)), "real")
    first = load_parameters(after.controller("real").folder / FIRST)
    train_controller(after, "real")
    assert np.array_equal(load_parameters(after.controller("real").folder / CONTROLLER), kept)
    assert np.array_equal(load_parameters(after.controller("real").folder / FIRST), first)
    again = read_history(after.controller("real").folder)
    assert [entry.fitness for entry in again] == [entry.fitness for entry in whole]


def test_a_first_c_that_is_damaged_is_refused(after: Run) -> None:
    begins_at(after)
    path = after.controller("real").folder / FIRST
    save_tensors(path, {"parameters": torch.zeros(2)})
    with pytest.raises(UserError, match=r"is damaged: delete .*/real to evolve again"):
        begins_at(after)


def test_a_hidden_layer_cannot_be_carried_over(after: Run) -> None:
    run = Run(after.folder, with_controller(after.config, "real", hidden=2))
    with pytest.raises(UserError, match=r"controllers.real.begin is behaviour, .* linear C, and hidden is 2"):
        train_controller(run, "real")
    assert not run.controller("real").folder.exists()


def test_without_a_previous_run_it_begins_at_zero(copy: Run) -> None:
    run = evolve(copy, "new", begin="behaviour", generations=1)
    assert not (run.controller("new").folder / FIRST).exists()
