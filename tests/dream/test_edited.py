import numpy as np
import pytest
import torch

from worldmodels.agent import Agent
from worldmodels.dream import DreamVectorEnv
from worldmodels.dream.edited import EditedDreams


def dreams(agent: Agent, kind: type[DreamVectorEnv] = EditedDreams) -> DreamVectorEnv:
    return kind(agent.memory, agent.starts, agent.squash, 2, "zh", 1.0, 100)


def test_without_an_edit_it_is_the_plain_dream(tiny_agent: Agent) -> None:
    edited, plain = dreams(tiny_agent), dreams(tiny_agent, DreamVectorEnv)
    actions = np.zeros((2, 1), np.float32)
    assert np.array_equal(edited.reset(seed=[3, 3])[0], plain.reset(seed=[3, 3])[0])
    for _ in range(5):
        assert all(
            np.array_equal(*both) for both in zip(edited.step(actions)[:4], plain.step(actions)[:4], strict=True)
        )


def test_an_edit_moves_the_latent_that_is_seen_and_that_m_goes_on_from(tiny_agent: Agent) -> None:
    world = dreams(tiny_agent)
    assert isinstance(world, EditedDreams)
    actions, edit = np.zeros((2, 1), np.float32), torch.tensor([1.0, 0, 0, 0, -2])
    world.reset(seed=[3, 3])
    world.step(actions)
    assert torch.equal(world.z[0], world.z[1])
    world.edit[1] = edit
    seen, *_ = world.step(actions)
    assert torch.allclose(world.z[1] - world.z[0], edit, atol=1e-5)
    assert np.array_equal(seen[:, :5], world.z.numpy())
    assert torch.allclose(world.state.h[0], world.state.h[1], atol=1e-6)
    world.edit[1] = 0
    world.step(actions)
    assert not torch.allclose(world.state.h[0], world.state.h[1], atol=1e-3)


def test_the_edit_begins_at_nothing(tiny_agent: Agent) -> None:
    world = dreams(tiny_agent)
    assert isinstance(world, EditedDreams)
    assert world.edit.shape == (2, 5)
    assert world.edit.abs().sum() == pytest.approx(0)
