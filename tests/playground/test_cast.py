"""Who can be visited."""

import dataclasses

import pytest
import torch

from worldmodels.config import Config
from worldmodels.errors import UserError
from worldmodels.playground.cast import Role, gather
from worldmodels.runs import Run


@pytest.fixture
def no_run(tmp_path) -> Run:
    return Run(tmp_path / "none", Config())


@pytest.fixture
def checkpoint(agent, tmp_path):
    agent.save(tmp_path / "champion")
    return tmp_path / "champion"


def test_finished_controllers_of_a_run(tiny_run):
    assert list(gather(tiny_run, [], [])) == ["run: real", "run: dream"]
    assert list(gather(tiny_run, ["dream"], [])) == ["run: dream"]


def test_checkpoints_need_no_run(no_run, checkpoint, agent):
    cast = gather(no_run, [], [checkpoint])
    assert list(cast) == ["champion"]
    assert cast["champion"].agent.digest() == agent.digest()


def test_checkpoints_of_one_name_are_told_apart(no_run, checkpoint, agent, tmp_path):
    agent.save(tmp_path / "other" / "champion")
    assert list(gather(no_run, [], [checkpoint, tmp_path / "other" / "champion"])) == [
        "champion",
        str(tmp_path / "other" / "champion"),
    ]


def test_both_together(tiny_run, checkpoint):
    assert list(gather(tiny_run, ["real"], [checkpoint])) == ["run: real", "champion"]


def test_nobody_is_refused(no_run):
    with pytest.raises(UserError, match="There is no agent to visit"):
        gather(no_run, [], [])


def test_an_unfinished_controller_is_refused(no_run):
    with pytest.raises(UserError, match="controller real is missing"):
        gather(no_run, ["real"], [])


def test_a_missing_checkpoint_is_refused(no_run, tmp_path):
    with pytest.raises(UserError, match="There is no checkpoint"):
        gather(no_run, [], [tmp_path / "nowhere"])


def test_an_agent_without_dreams_is_refused(no_run, agent, tmp_path):
    none = agent.starts._replace(**{name: tensor[:0] for name, tensor in agent.starts._asdict().items()})
    dataclasses.replace(agent, starts=none).save(tmp_path / "sleepless")
    with pytest.raises(UserError, match="sleepless carries an untrained M"):
        gather(no_run, [], [tmp_path / "sleepless"])


def test_painting_in_bfloat16_leaves_the_agents_weights_as_they_are(agent, role):
    before = agent.digest()
    coarse = Role.of("coarse", agent, dataclasses.replace(role.compute, precision="bfloat16"))
    assert next(coarse.painter.parameters()).dtype == torch.bfloat16
    assert agent.digest() == before
    assert role.painter is agent.vision
