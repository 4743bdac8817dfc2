import math
from pathlib import Path

import numpy as np
import pytest
import torch
from walking import walk_memory, write_latents

from worldmodels.calibration.heads import EDGES, head_errors, reliability, reward_errors
from worldmodels.data.latents import Latents

RANDOM = np.random.default_rng(0)


def test_a_head_that_is_right_has_no_calibration_error() -> None:
    probability = np.exp(RANDOM.uniform(math.log(1e-4), 0, 200_000))
    happened = RANDOM.random(200_000) < probability
    ends = reliability(probability, happened)
    assert ends.calibration_error < 0.002
    assert ends.expected == pytest.approx(ends.observed, rel=0.02)
    for place in ends.bins:
        assert place.low <= place.predicted <= place.high
        spread = math.sqrt(place.predicted * (1 - place.predicted) / place.steps)
        assert abs(place.predicted - place.observed) < 4 * spread
    assert ends.nats < 0.8 * ends.nats_rate


@pytest.mark.parametrize(("said", "rate"), [(0.1, 0.02), (0.002, 0.05)])
def test_a_head_that_is_wrong_has_the_error_that_it_has(said: float, rate: float) -> None:
    happened = np.arange(1000) < 1000 * rate
    ends = reliability(np.full(1000, said), happened)
    assert ends.calibration_error == pytest.approx(abs(said - rate))
    assert (ends.expected, ends.observed) == (pytest.approx(1000 * said), 1000 * rate)
    assert ends.nats == pytest.approx(-rate * math.log(said) - (1 - rate) * math.log(1 - said))
    assert ends.nats_rate == pytest.approx(-rate * math.log(rate) - (1 - rate) * math.log(1 - rate))


def test_every_probability_has_its_bin() -> None:
    ends = reliability(np.array([0.0, *EDGES, 0.5, 1.0]), np.zeros(len(EDGES) + 3, bool))
    assert sum(place.steps for place in ends.bins) == ends.steps == len(EDGES) + 3
    assert [place.steps for place in ends.bins] == [2, 1, 1, 1, 1, 1, 4]
    assert [place.low for place in ends.bins] == list(EDGES[:-1])


def test_without_any_end_nothing_is_lost() -> None:
    ends = reliability(np.zeros(5), np.zeros(5, bool))
    assert (ends.nats, ends.nats_rate, ends.calibration_error) == (0, 0, 0)


def test_rewards_against_their_definitions() -> None:
    paid = RANDOM.normal(2, 3, 1000)
    rewards = reward_errors(paid + 0.5, paid)
    assert rewards.expected == pytest.approx(rewards.observed + 0.5)
    assert rewards.error == pytest.approx(0.5)
    assert rewards.error_mean == pytest.approx(3, rel=0.1)


def test_heads_are_asked_at_every_step_of_the_episodes_and_at_no_other(tmp_path: Path) -> None:
    lengths = [7, 30, 2, 19]
    latents = write_latents(tmp_path, lengths, terminated=[True, False, True, True])
    memory = walk_memory(latents, reward_head=True, done_head=True)
    with torch.no_grad():
        memory.head.bias[-2:] = torch.tensor([0.25, math.log(0.2 / 0.8)])
    ends, rewards = head_errors(memory, latents, np.array([0, 2, 3]), seed=1)
    assert ends is not None
    assert rewards is not None
    assert (ends.steps, ends.observed) == (28, 3)
    assert ends.expected == pytest.approx(0.2 * 28)
    paid = np.concatenate([latents.reward[slice(*latents.starts[e : e + 2])] for e in (0, 2, 3)])
    assert (rewards.expected, rewards.observed) == (pytest.approx(0.25), pytest.approx(paid.mean()))
    assert rewards.error == pytest.approx(np.sqrt(np.square(paid - 0.25).mean()))


def test_without_a_head_there_is_nothing_to_say_of_it(tmp_path: Path) -> None:
    latents: Latents = write_latents(tmp_path, [5, 6])
    assert head_errors(walk_memory(latents), latents, np.array([1]), seed=1) == (None, None)
    ends, rewards = head_errors(walk_memory(latents, done_head=True), latents, np.array([1]), seed=1)
    assert ends is not None
    assert rewards is None
