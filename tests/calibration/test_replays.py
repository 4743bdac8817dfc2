import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from walking import WalkMemory, walk_memory, write_latents

from worldmodels.calibration.replays import BOUNDS, EPISODES, MOMENTS, replayed_ends
from worldmodels.config import MemoryConfig
from worldmodels.data.latents import Latents
from worldmodels.memory.mdn_rnn import Prediction

LENGTHS = [80, 30, 400, 7, 150]
RATE = 0.01


def saying(memory: WalkMemory, probability: float) -> WalkMemory:
    """It gives the end this probability at every step."""
    with torch.no_grad():
        memory.head.bias[-1] = float(np.log(probability / (1 - probability)))
    return memory


@pytest.fixture
def latents(tmp_path: Path) -> Latents:
    return write_latents(tmp_path, LENGTHS, terminated=[True, False, True, True, True])


def test_a_constant_head_says_the_same_on_frames_and_in_dreams(latents: Latents) -> None:
    memory = saying(walk_memory(latents, done_head=True), RATE)
    found = replayed_ends(memory, latents, np.arange(5), seed=1)
    assert [(one.begin, one.end) for one in found] == list(itertools.pairwise(BOUNDS))
    for one in found:
        assert one.frames == pytest.approx(1000 * RATE, rel=1e-5)
        assert one.dream == pytest.approx(1000 * RATE, rel=1e-5)
        assert one.steps <= EPISODES * MOMENTS * (one.end - one.begin)


def test_the_games_ends_are_those_that_were_recorded(tmp_path: Path) -> None:
    """All moments of an episode of 400 steps are alike, so that every span sees its end at the same rate."""
    latents = write_latents(tmp_path, [400] * 40, terminated=[True] * 40)
    memory = saying(walk_memory(latents, done_head=True), RATE)
    found = replayed_ends(memory, latents, np.arange(40), seed=1)
    ends = sum(one.game * one.steps for one in found) / 1000
    assert ends == pytest.approx(EPISODES * MOMENTS * BOUNDS[-1] / 400, rel=0.25)
    endless = write_latents(tmp_path, [400] * 40)
    assert all(one.game == 0 for one in replayed_ends(memory, endless, np.arange(40), seed=1))


class Homesick(WalkMemory):
    """It expects the end as long as it sees the walk, and dreams of another place."""

    def predict(self, hidden: Tensor) -> Prediction:
        heads = super().predict(hidden)
        return heads._replace(
            mixture=heads.mixture._replace(mean=torch.zeros_like(heads.mixture.mean)),
            done=torch.where(hidden[:, 0] > 50, 0.0, -50.0),
        )


def test_ends_that_come_about_on_frames_only_are_told_apart(latents: Latents) -> None:
    memory = Homesick(MemoryConfig(hidden=2, mixtures=1, done_head=True), 1e-3).eval()
    first, *later = replayed_ends(memory, latents, np.arange(5), seed=1)
    assert first.frames == pytest.approx(500)
    assert first.dream > 0  # its first step still sees the game
    assert all((one.frames, one.dream) == (pytest.approx(500), pytest.approx(0, abs=1e-6)) for one in later)


def test_it_is_a_function_of_its_seed(latents: Latents) -> None:
    memory = saying(walk_memory(latents, spread=0.5, done_head=True), RATE)
    one, same, other = (replayed_ends(memory, latents, np.arange(5), seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other
