import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from counting import episode_length
from scipy import stats

from worldmodels.agent import Agent
from worldmodels.calibration import plays
from worldmodels.calibration.plays import PlayTrial, Trial, key_of, play_trials
from worldmodels.config import ComputeConfig
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.play import Outcomes
from worldmodels.played import Played

COMPUTE = ComputeConfig(workers=0, device="cpu", precision="float32", lanes=3, dream_lanes=64)
SEEDS = (3, 9, 17, 26, 4, 300)
STEADY = ("still", "always -1", "always 1")


def job_of(agent: Agent, **agents: Agent) -> PlayTrial:
    return PlayTrial(agent, agents, COMPUTE)


def test_games_of_constant_actions_are_exact(tiny_agent: Agent) -> None:
    job = job_of(tiny_agent)
    lengths = np.array([episode_length(seed) for seed in SEEDS])
    for player, action in zip(STEADY, (0, -1, 1), strict=True):
        outcomes = job(Trial((player,), False, None, SEEDS, 50))
        assert outcomes.lengths.tolist() == lengths.tolist()
        assert outcomes.returns == pytest.approx(lengths * (lengths - 1) / 2 + lengths * action / 4)
    job.close()


def test_episodes_end_at_the_step_limit_in_both_worlds(tiny_agent: Agent) -> None:
    job = job_of(tiny_agent, c=tiny_agent)
    for player, agent in (("still", False), ("c", True)):
        for temperature in (None, 1.0):
            outcomes = job(Trial((player,), agent, temperature, SEEDS, 3))
            assert outcomes.lengths.max() <= 3
            if temperature is None:
                assert outcomes.lengths.tolist() == [min(3, episode_length(seed)) for seed in SEEDS]


@pytest.mark.parametrize("ends", [-2.0, -4.0])
def test_survival_in_a_dream_with_a_known_chance_of_death(
    tiny_agent: Agent, mortal: Callable[[float], Agent], ends: float
) -> None:
    chance = 1 / (1 + math.exp(-ends))
    seeds = tuple(range(1_000_000, 1_000_400))
    players = (*STEADY, "new every step", "held 1-10")
    outcomes = job_of(mortal(ends))(Trial(players, False, 1.0, seeds, 100_000))
    assert outcomes.lengths.shape == (2000,)
    assert (outcomes.returns == outcomes.lengths).all()  # no reward head: one point a step
    mine = outcomes.lengths[:400]  # players share the noise of their dreams
    assert mine.mean() == pytest.approx(1 / chance, rel=4 / math.sqrt(400))
    for steps in (1, 2, 5, 20):
        survived = stats.geom(chance).sf(steps)
        assert stats.binomtest(int((mine > steps).sum()), 400, survived).pvalue > 0.001


@pytest.fixture
def mortal(tiny_agent: Agent) -> Callable[[float], Agent]:
    """The agent with an M that knows nothing but how often episodes end."""

    def made(ends: float) -> Agent:
        config = dataclasses.replace(tiny_agent.memory.config, reward_head=False)
        torch.manual_seed(0)
        memory = MDNRNN(config, tiny_agent.memory.latent_dim, 1).eval()
        with torch.no_grad():
            memory.head.weight.zero_()
            memory.head.bias.zero_()
            memory.head.bias[-1] = ends
        return dataclasses.replace(tiny_agent, memory=memory)

    return made


def test_players_that_dream_together_dream_as_they_would_alone(tiny_agent: Agent) -> None:
    job, players = job_of(tiny_agent), ("held 1-10", "still", "new every step")
    together = job(Trial(players, False, 1.0, SEEDS, 20))
    alone = Outcomes.join([job(Trial((player,), False, 1.0, SEEDS, 20)) for player in players])
    assert together.lengths.tolist() == alone.lengths.tolist()
    assert together.returns.tolist() == alone.returns.tolist()


def test_an_agent_plays_as_it_does_elsewhere(tiny_agent: Agent) -> None:
    with Fitness(Worlds(tiny_agent, COMPUTE, 1.0)) as fitness:
        for world, temperature in (("real", None), ("dream", 1.0)):
            expected = fitness.evaluate(tiny_agent.parameters[None], np.array(SEEDS), world)
            found = job_of(tiny_agent, mine=tiny_agent)(Trial(("mine",), True, temperature, SEEDS, 50))
            assert found.lengths.tolist() == expected.lengths[0].tolist()
            assert found.returns == pytest.approx(expected.returns[0], abs=1e-4)


def trials_of(agent: Agent, maker: str) -> dict[Trial, object]:
    trials = [Trial((player,), False, None, SEEDS, 50) for player in STEADY]
    trials += [Trial(STEADY, False, 1.0, SEEDS, 50), Trial(("c",), True, None, SEEDS, 50)]
    return {trial: key_of(trial, agent.task, maker) for trial in trials}


def test_what_was_played_is_not_played_again(
    tiny_agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, played = partial(job_of, tiny_agent, c=tiny_agent), Played(tmp_path)
    first = play_trials(trials_of(tiny_agent, "m"), played, job, COMPUTE)
    monkeypatch.setattr(plays, "Pool", None)
    again = play_trials(trials_of(tiny_agent, "m"), played, job, COMPUTE)
    assert first.keys() == again.keys() == trials_of(tiny_agent, "m").keys()
    for trial in first:
        assert all(np.array_equal(a, b) for a, b in zip(first[trial], again[trial], strict=True))


def test_scripted_games_are_played_once_for_every_m(tiny_agent: Agent, tmp_path: Path) -> None:
    job, played = partial(job_of, tiny_agent, c=tiny_agent), Played(tmp_path)
    play_trials(trials_of(tiny_agent, "one m"), played, job, COMPUTE)
    before = set(tmp_path.iterdir())
    play_trials(trials_of(tiny_agent, "another m"), played, job, COMPUTE)
    assert len(before) == 5
    assert len(set(tmp_path.iterdir()) - before) == 2  # the dream, and the agent's games


def test_a_kill_costs_only_the_trial_that_was_under_way(
    tiny_agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, trials = partial(job_of, tiny_agent, c=tiny_agent), trials_of(tiny_agent, "m")
    whole = play_trials(trials, Played(tmp_path / "whole"), job, COMPUTE)
    count, original = 0, PlayTrial.__call__

    def dying(self: PlayTrial, trial: Trial) -> Outcomes:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return original(self, trial)

    monkeypatch.setattr(PlayTrial, "__call__", dying)
    with pytest.raises(KeyboardInterrupt):
        play_trials(trials, Played(tmp_path / "killed"), job, COMPUTE)
    assert len(list((tmp_path / "killed").iterdir())) == 2
    resumed = play_trials(trials, Played(tmp_path / "killed"), job, COMPUTE)
    assert count == 6
    for trial in trials:
        assert all(np.array_equal(a, b) for a, b in zip(whole[trial], resumed[trial], strict=True))
