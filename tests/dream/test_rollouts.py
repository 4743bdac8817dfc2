import dataclasses
import math

import numpy as np
import pytest
import torch
from dreaming import BOX, DISCRETE, PAIRS, H, Z, memory_of

from worldmodels.controller.form import ControllerForm
from worldmodels.dream import DreamRollouts, DreamVectorEnv, Guards, rollouts
from worldmodels.dream.rollouts import Squashed
from worldmodels.envs.actions import Squash
from worldmodels.memory.starts import Starts
from worldmodels.play import CandidatePolicy, Cuts, play

CPU = torch.device("cpu")
N, K = 6, 40


def starts_of(count: int = 6) -> Starts:
    torch.manual_seed(5)
    states = torch.randn(2, count, H)
    return Starts(torch.randn(count, Z), torch.zeros(count, Z), *states, torch.ones(count, dtype=torch.bool))


def population(form: ControllerForm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    candidates = random.normal(0, 1, (N, form.parameters)).astype(np.float32)
    return candidates, random.integers(0, N, K), random.integers(0, 2**62, K)


def form_of(squash: Squash, hidden: int = 0) -> ControllerForm:
    return ControllerForm(Z + 2 * H, squash.dim, bias=True, hidden=hidden)


def both_ways(squash, guards=Guards(), lanes=16, cuts=Cuts(), ends=-3.0, temperature=1.0, hidden=0):  # noqa: B008
    memory, starts, form = memory_of(squash, ends), starts_of(), form_of(squash, hidden)
    candidates, players, seeds = population(form)
    world = DreamVectorEnv(memory, starts, squash, lanes, "zch", temperature, 60, guards=guards)
    outcomes = play(world, CandidatePolicy(form, squash, candidates, players, lanes), seeds, cuts)
    dreams = DreamRollouts(memory, starts, squash, form, "zch", temperature, 60, lanes, CPU, torch.float32, guards)
    return outcomes, dreams.play(candidates, players, seeds, *cuts)


def others(squash: Squash, count: int = 2) -> tuple:
    members = []
    for number in range(count):
        memory = memory_of(squash, -3.0)
        with torch.no_grad():
            memory.head.bias.add_(0.1 * (number + 1))
        members.append((memory, starts_of()))
    return tuple(members)


@pytest.mark.parametrize("squash", [BOX, DISCRETE, PAIRS], ids=["box", "discrete", "choices"])
@pytest.mark.parametrize("lanes", [7, 16, 100])
def test_a_population_dreams_as_in_the_vector_environment(squash, lanes):
    outcomes, tally = both_ways(squash, lanes=lanes)
    assert np.array_equal(tally.lengths.numpy(), outcomes.lengths)
    assert len(set(outcomes.lengths)) > 5
    np.testing.assert_allclose(tally.returns.numpy(), outcomes.returns, rtol=1e-4, atol=1e-4)
    assert not tally.alive.any()
    assert tally.sound.all()


@pytest.mark.parametrize("ends", ["drawn", "weighed"])
@pytest.mark.parametrize("ensemble", ["none", "member", "other", "penalty"])
def test_guards_are_the_same_too(ensemble, ends):
    guards = Guards(0.3, ensemble, 0.5, others(DISCRETE) if ensemble != "none" else (), ends)
    outcomes, tally = both_ways(DISCRETE, guards)
    assert np.array_equal(tally.lengths.numpy(), outcomes.lengths)
    np.testing.assert_allclose(tally.returns.numpy(), outcomes.returns, rtol=1e-4, atol=1e-4)


def test_a_hidden_layer_dreams_alike_and_otherwise_than_none():
    outcomes, tally = both_ways(BOX, hidden=3)
    np.testing.assert_allclose(tally.returns.numpy(), outcomes.returns, rtol=1e-4, atol=1e-4)
    assert not np.array_equal(outcomes.lengths, both_ways(BOX)[0].lengths)


@pytest.mark.parametrize("cuts", [Cuts(max_steps=5), Cuts(patience=2), Cuts(3, 17)])
def test_dreams_are_cut_alike(cuts):
    outcomes, tally = both_ways(DISCRETE, cuts=cuts)
    assert np.array_equal(tally.lengths.numpy(), outcomes.lengths)
    np.testing.assert_allclose(tally.returns.numpy(), outcomes.returns, rtol=1e-4, atol=1e-4)


def test_what_is_over_is_no_longer_computed(monkeypatch):
    rows = []
    simulator = rollouts.Simulator

    class Counting(simulator):
        def step(self, action, temperature):
            rows.append(len(action))
            return super().step(action, temperature)

    monkeypatch.setattr(rollouts, "Simulator", Counting)
    squash, form = DISCRETE, form_of(DISCRETE)
    random = np.random.default_rng(2)
    seeds = random.integers(0, 2**62, 1024)
    memory = memory_of(squash, -3.0)
    dreams = DreamRollouts(memory, starts_of(), squash, form, "zch", 1.0, 1000, 1024, CPU, torch.float32)
    tally = dreams.play(np.zeros((1, form.parameters), np.float32), np.zeros(1024, np.int64), seeds)
    assert max(rows) == 1024
    assert min(rows) < 256
    assert sum(rows) < 3 * int(tally.lengths.sum())


def test_an_action_that_is_no_number_is_noticed():
    squash, form = BOX, form_of(BOX)
    dreams = DreamRollouts(memory_of(squash), starts_of(), squash, form, "zch", 1.0, 60, 8, CPU, torch.float32)
    candidates = np.zeros((2, form.parameters), np.float32)
    candidates[1] = math.nan
    tally = dreams.play(candidates, np.array([0, 1, 0]), np.array([5, 6, 7]))
    assert tally.sound.tolist() == [True, False, True]


@pytest.mark.parametrize("squash", [BOX, dataclasses.replace(BOX, clip=(True, False)), DISCRETE, PAIRS])
def test_actions_are_squashed_as_elsewhere(squash):
    raw = np.random.default_rng(1).normal(0, 3, (50, squash.dim)).astype(np.float32)
    raw[7, 0] = math.nan
    np.testing.assert_allclose(Squashed(squash, CPU)(torch.from_numpy(raw)).numpy(), squash(raw), atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("ends", ["drawn", "weighed"])
@pytest.mark.parametrize("ensemble", ["none", "member", "other", "penalty"])
def test_a_gpu_dreams_alike(ensemble, ends):
    squash, guards = DISCRETE, Guards(0.3, ensemble, 0.5, others(DISCRETE) if ensemble != "none" else (), ends)
    memory, starts, form = memory_of(squash, -5.0), starts_of(), form_of(squash)
    random = np.random.default_rng(2)
    candidates = random.normal(0, 1, (N, form.parameters)).astype(np.float32)
    players, seeds = random.integers(0, N, 5000), random.integers(0, 2**62, 5000)
    here, there = (
        DreamRollouts(
            memory, starts, squash, form, "zch", 1.0, 300, 2048, torch.device(name), torch.float32, guards
        ).play(candidates, players, seeds)
        for name in ("cpu", "cuda")
    )
    assert there.sound.all()
    assert (here.lengths == there.lengths).float().mean() > 0.9  # a rounding can change a choice, and all that follows
