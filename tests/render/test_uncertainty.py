"""M's uncertainty is set beside the moment that it was about."""

import numpy as np
import pytest
import torch
from PIL import Image

from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.memory.mixture import deviation, expectation
from worldmodels.render.follow import follow, follow_in
from worldmodels.render.open_loop import alone, futures
from worldmodels.render.uncertainty import one_step, share_within, uncertainty_figure


@pytest.fixture
def episode(world, policy):
    return list(follow_in(world, policy, seed=1, steps=100))


def test_what_was_expected_is_that_of_the_step_before(memory, episode):
    """M knows the rule: its more probable Gaussian is the truth, the other one is 50 more, with odds of 1 to e^9."""
    expected = one_step(memory, episode)
    truth = torch.cat([moment.z for moment in episode])[1:]
    share = torch.softmax(torch.tensor([0.0, 9.0]), 0)[0]
    assert torch.allclose(expected.mean, truth + 50 * share, atol=1e-4)
    assert torch.allclose(
        expected.deviation, torch.full_like(truth, 50 * float((share * (1 - share)).sqrt())), atol=1e-3
    )


def test_one_step_agrees_with_following_step_by_step(agent):
    episode = list(follow(agent, ComputeConfig(precision="float32"), seed=3, steps=9))
    expected = one_step(agent.memory, episode)
    for before, mean, spread in zip(episode, expected.mean, expected.deviation, strict=False):
        restart = torch.tensor([float(before.step == 0)])
        with torch.inference_mode():
            state = agent.memory.step(before.z, torch.from_numpy(before.action), restart, before.state)
            mixture = agent.memory.predict(state.h).mixture
        assert torch.allclose(mean, expectation(mixture)[0], atol=1e-6)
        assert torch.allclose(spread, deviation(mixture)[0], atol=1e-6)


def test_many_futures_begin_with_the_one(memory, episode):
    many = futures(memory, episode[3:], 1.0, 5)
    assert many.shape == (5, len(episode) - 3, 1)
    assert torch.equal(many[0], alone(memory, episode[3:], 1.0))
    assert (many[:, 0] == episode[3].z).all()
    assert len(torch.unique(many[:, -1])) == 5


def test_the_figure_is_written_whole(agent, memory, episode, tmp_path):
    uncertainty_figure(memory, episode, 1.0, tmp_path / "doubt.png", "tiny")
    with Image.open(tmp_path / "doubt.png") as picture:
        assert picture.width > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["doubt.png"]
    with pytest.raises(UserError, match="no future"):
        uncertainty_figure(memory, episode[:1], 1.0, tmp_path / "none.png", "tiny")


def test_shares():
    values = np.arange(10.0)
    assert share_within(values, values - 1, values + 1) == 1
    assert share_within(values, np.full(10, 2.0), np.full(10, 4.0)) == 0.3
