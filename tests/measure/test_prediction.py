"""M's predictions on the counting game, by an M that knows the rule: whatever slips by one step shows."""

import numpy as np
import pytest
import torch
from counting import COUNT, DIGITS, LAST_ACTION, SCALE
from torch import Tensor

from worldmodels.config import MemoryConfig
from worldmodels.data.latents import Latents
from worldmodels.data.rollouts import EPISODES, Rollouts
from worldmodels.measure.prediction import Moments, alone, draw_moments, prediction_errors, states_at
from worldmodels.memory.mdn_rnn import MDNRNN, Prediction, State
from worldmodels.memory.mixture import Mixture
from worldmodels.runs import Run
from worldmodels.vision.train import trained_vision


class Rule(MDNRNN):
    """Knows how the counting game goes on: the count grows by one, and the frame shows the last action.

    h is the latent to come; c counts the steps that it has seen.
    """

    def __init__(self) -> None:
        super().__init__(MemoryConfig(hidden=DIGITS, restart_input=True), DIGITS, 1)

    def step(self, z: Tensor, action: Tensor, restart: Tensor, state: State) -> State:
        assert ((restart == 1) == (state.c[:, 0] == 0)).all()
        following = z.clone()
        following[:, COUNT] += 1 / SCALE
        following[:, LAST_ACTION] = torch.round(100 * (action[:, 0] + 1)) / SCALE
        return State(following, state.c + 1)

    def predict(self, hidden: Tensor) -> Prediction:
        means = torch.stack([hidden + 50, hidden], -1)  # the second, right one is the more probable
        return Prediction(
            Mixture(torch.tensor([0.0, 9.0]).expand_as(means), means, torch.zeros_like(means)), None, None
        )


@pytest.fixture(scope="module")
def latents(tiny_run: Run) -> Latents:
    return Latents(tiny_run.latents.folder)


@pytest.fixture(scope="module")
def moments(latents: Latents) -> Moments:
    return draw_moments(np.arange(len(latents)), latents.lengths, 3, 1000, np.random.default_rng(0))


def test_moments_are_all_that_leave_room_for_the_future(latents: Latents, moments: Moments) -> None:
    assert len(moments.step) == np.maximum(latents.lengths - 3, 0).sum() > 10
    assert (moments.step + 3 < latents.lengths[moments.episode]).all()


def test_fewer_moments_are_drawn_without_repetition(latents: Latents) -> None:
    few = draw_moments(np.arange(len(latents)), latents.lengths, 1, 5, np.random.default_rng(1))
    assert len({*zip(few.episode.tolist(), few.step.tolist(), strict=True)}) == 5


def test_no_episode_may_be_long_enough(latents: Latents) -> None:
    assert len(draw_moments(np.arange(len(latents)), latents.lengths, 99, 5, np.random.default_rng(1)).step) == 0


def test_the_state_of_a_moment_has_seen_all_steps_before_it(latents: Latents, moments: Moments) -> None:
    state = states_at(Rule(), latents, moments)
    assert state.c[:, 0].tolist() == moments.step.tolist()
    inner = moments.step > 0
    rows = latents.starts[moments.episode] + moments.step
    assert np.allclose(state.h[inner].numpy(), latents.mu[rows[inner]], atol=1e-5)


def test_alone_it_predicts_the_frames_that_came(latents: Latents, moments: Moments) -> None:
    expected = alone(Rule(), latents, moments, 3)
    rows = latents.starts[moments.episode] + moments.step
    for ahead in range(1, 4):
        assert np.allclose(expected[ahead - 1], latents.mu[rows + ahead], atol=1e-5)


def test_errors_are_of_the_frames_of_their_time(
    tiny_run: Run, latents: Latents, moments: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    vision = trained_vision(tiny_run)
    monkeypatch.setattr(
        vision, "decode", lambda z: (z[:, COUNT] * SCALE * 20 / 255)[:, None, None, None].expand(-1, 64, 64, 3)
    )
    rollouts = Rollouts(tiny_run.rollouts.folder / EPISODES)
    found = prediction_errors(vision, Rule(), latents, rollouts, moments, (1, 3))
    assert set(found) == {"1", "3"}
    for ahead, errors in found.items():
        assert errors["predicted"] == pytest.approx(errors["seen"], abs=1e-6)
        change = (63 / 64) * (int(ahead) * 20 / 255) ** 2  # all rows but the first show the count
        assert errors["no_change"] - errors["seen"] == pytest.approx(change, rel=0.15)
