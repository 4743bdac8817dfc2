"""The guide's own V, as it is printed there: another package's model goes through every stage."""

import importlib
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from counting import tiny_config

from worldmodels import registry
from worldmodels.agent import agent_of_run, load_agent
from worldmodels.collect import collect_rollouts
from worldmodels.config import Config
from worldmodels.errors import UserError
from worldmodels.evolution.train import train_controller
from worldmodels.memory.train import train_memory
from worldmodels.options import load_config, to_dict, write_yaml
from worldmodels.runs import Run
from worldmodels.vision.train import train_vision

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide.md"


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The guide's example as a module of somebody else's."""
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S) if "register_vision" in c)
    (tmp_path / "their_vision.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("their_vision")
    del sys.modules["their_vision"], registry._REGISTERED["linear"]


def options() -> Config:
    config = tiny_config()
    vision = {**to_dict(config.vision), "model": "linear", "log_variance": -3.0}
    return load_config([], {**to_dict(config), "vision": vision})


def test_it_is_trained_and_used_in_m_and_c_and_saved_and_loaded(printed: ModuleType, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", options())
    collect_rollouts(run)
    train_vision(run)
    train_memory(run)
    for name in run.config.controllers:
        train_controller(run, name)
    agent = agent_of_run(run, "dream")
    agent.save(tmp_path / "agent")
    loaded = load_agent(tmp_path / "agent")
    assert type(loaded.vision) is printed.LinearVision
    frames = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8))
    assert torch.equal(loaded.vision.encode(frames).mu, agent.vision.encode(frames).mu)
    assert loaded.vision.encode(frames).logvar.unique().tolist() == [-3.0]
    assert loaded.digest() == agent.digest()


def test_its_options_are_checked_and_come_back(printed: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(write_yaml(options()))
    assert load_config([path]).vision == replace(load_config([path]).vision, log_variance=-3.0)
    path.write_text("vision: {model: linear, log_varianse: 1}")
    with pytest.raises(UserError, match="no option `log_varianse`; did you mean `log_variance`"):
        load_config([path])
    path.write_text("vision: {model: linear, log_variance: small}")
    with pytest.raises(UserError, match=r"vision\.log_variance: input should be a valid number"):
        load_config([path])
