import dataclasses

import numpy as np
import pytest

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.evolution.fitness import Fitness, Worlds
from worldmodels.play import Cuts, Outcomes

COMPUTE = ComputeConfig(workers=0, device="cpu", precision="float32", dream_lanes=8, gpu_dream_lanes=16)


def dreamt(agent: Agent, candidates: np.ndarray, seeds: np.ndarray, cuts: Cuts, at_once: bool) -> Outcomes:
    with Fitness(Worlds(agent, COMPUTE, temperature=1.0)) as fitness:
        fitness.dreams_at_once = at_once
        return fitness.evaluate(candidates, seeds, "dream", cuts)


def candidates_of(agent: Agent) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (5, agent.form.parameters)).astype(np.float32)


@pytest.mark.parametrize("cuts", [Cuts(), Cuts(max_steps=3)])
def test_dreams_at_once_are_those_of_the_workers(tiny_agent, cuts):
    candidates, seeds = candidates_of(tiny_agent), np.arange(100, 107)
    spread, at_once = (dreamt(tiny_agent, candidates, seeds, cuts, way) for way in (False, True))
    assert spread.returns.shape == (5, 7)
    np.testing.assert_allclose(at_once.returns, spread.returns, rtol=1e-4, atol=1e-4)
    assert np.array_equal(at_once.lengths, spread.lengths)
    assert not at_once.successes.any()


def test_dreams_at_once_say_what_is_damaged(tiny_agent):
    candidates, seeds = candidates_of(tiny_agent), np.arange(100, 107)
    candidates[3] = np.nan
    with pytest.raises(UserError, match="action is not a finite number in the episode with seed 100"):
        dreamt(tiny_agent, candidates, seeds, Cuts(), at_once=True)


def test_no_workers_are_called_up_for_dreams_at_once(tiny_agent):
    worlds = Worlds(tiny_agent, dataclasses.replace(COMPUTE, workers=2), temperature=1.0)
    with Fitness(worlds) as fitness:
        fitness.dreams_at_once = True
        fitness.evaluate(candidates_of(tiny_agent), np.arange(100, 103), "dream")
        assert "pool" not in vars(fitness)
