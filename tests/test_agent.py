import copy
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from counting import COUNT, DIGITS

from worldmodels.agent import Agent, agent_of_run, blank_agent, load_agent, load_agent_as
from worldmodels.config import ComputeConfig, MemoryConfig
from worldmodels.errors import UserError
from worldmodels.kept import CONTROLLER
from worldmodels.play import play
from worldmodels.runs import Run
from worldmodels.tensors import save_tensors

COMPUTE = ComputeConfig(workers=0, device="cpu", precision="float32")
SEEDS = np.array([8, 17, 300])


@pytest.fixture
def folder(tiny_agent: Agent, tmp_path: Path) -> Path:
    tiny_agent.save(tmp_path / "agent")
    return tmp_path / "agent"


def test_a_saved_agent_plays_the_same(tiny_agent: Agent, folder: Path) -> None:
    loaded = load_agent(str(folder))
    assert loaded.digest() == tiny_agent.digest()
    assert (loaded.task, loaded.squash, loaded.config) == (tiny_agent.task, tiny_agent.squash, tiny_agent.config)
    assert np.array_equal(returns_of(loaded), returns_of(tiny_agent))


def returns_of(agent: Agent) -> np.ndarray:
    """What the agent earns in the game and in the dream."""
    worlds = (agent.real_world(2, COMPUTE), agent.dream_world(2, 1.0, max_steps=9))
    return np.stack([play(world, agent.policy(2, 3), SEEDS).returns for world in worlds])


def test_a_dream_begins_at_first_frames_or_at_any_moment_that_m_remembers(tiny_agent: Agent) -> None:
    seeds = list(range(200))
    first, _ = tiny_agent.dream_world(200, 1.0).reset(seed=seeds)
    inner, _ = tiny_agent.dream_world(200, 1.0, start="any").reset(seed=seeds)
    latent, memory = slice(DIGITS), slice(DIGITS, None)
    assert not first[:, COUNT].any()
    assert not first[:, memory].any()
    later = inner[:, COUNT] > 0
    assert later.any()
    assert not later.all()
    assert inner[later, memory].any(1).all()
    assert not inner[~later, memory].any()
    moments = {tuple(mu) for mu in tiny_agent.starts.mu.numpy()}
    assert {tuple(z) for z in inner[:, latent]} == moments


@pytest.fixture
def run(tiny_run: Run, tmp_path: Path) -> Run:
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    return Run(tmp_path / "run", tiny_run.config)


def test_a_c_that_was_evolved_on_another_m_is_refused(run: Run) -> None:
    summary = run.memory.summary()
    run.memory.finish(summary | {"steps": 0}, ["memory.safetensors", "starts.safetensors"])
    with pytest.raises(UserError, match=r"controllers/real was made from another memory"):
        agent_of_run(run, "real")


def test_an_agent_does_not_play_another_game_than_it_was_made_for(run: Run) -> None:
    other = dataclasses.replace(run.config, task=dataclasses.replace(run.config.task, frame_skip=4))
    with pytest.raises(UserError, match=r"made with task\.frame_skip = 1, and 4 is asked for"):
        agent_of_run(Run(run.folder, other), "real")


def test_an_untrained_m_is_that_which_c_was_evolved_with(run: Run) -> None:
    config = dataclasses.replace(run.config.controllers["real"], memory="untrained")
    weights = [blank_agent(run, config, seed).memory.head.weight for seed in (None, run.config.seed, 99)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_checkpoint_holds_nothing_that_could_run(folder: Path) -> None:
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}


def test_another_agent_has_another_name(tiny_agent: Agent, tiny_run: Run) -> None:
    other = dataclasses.replace(tiny_agent, parameters=tiny_agent.parameters + 1)
    assert other.digest() != tiny_agent.digest()
    evolved_longer = dataclasses.replace(tiny_agent, config=dataclasses.replace(tiny_agent.config, generations=999))
    assert evolved_longer.digest() == tiny_agent.digest()
    assert agent_of_run(tiny_run, "real").digest() == tiny_agent.digest()
    shown = dataclasses.replace(tiny_agent.task, fps=7.0, score_env="counting:Counting-v0", success_key=None)
    assert dataclasses.replace(tiny_agent, task=shown).digest() == tiny_agent.digest()


def test_an_option_that_did_not_exist_yet_leaves_an_agent_its_name(tiny_agent: Agent) -> None:
    @dataclasses.dataclass(frozen=True)
    class Later(MemoryConfig):
        news: int = 0

    memory = copy.copy(tiny_agent.memory)
    later = dataclasses.replace(tiny_agent, memory=memory)
    memory.config = Later(**dataclasses.asdict(tiny_agent.memory.config))
    assert later.digest() == tiny_agent.digest()
    memory.config = dataclasses.replace(memory.config, news=1)
    assert later.digest() != tiny_agent.digest()


def test_a_checkpoints_game_may_be_shown_and_scored_otherwise_but_be_no_other(tiny_agent: Agent, folder: Path) -> None:
    shown = dataclasses.replace(tiny_agent.task, fps=7.0)
    assert load_agent_as(folder, shown).task == shown
    with pytest.raises(UserError, match=r"plays with task\.max_steps = \d+, and 5 is asked for"):
        load_agent_as(folder, dataclasses.replace(tiny_agent.task, max_steps=5))


def test_the_agent_of_an_unfinished_controller_is_refused(tiny_run: Run) -> None:
    with pytest.raises(UserError, match=r"The controller other is missing .* --name other first"):
        agent_of_run(tiny_run, "other")


@pytest.mark.parametrize(
    "name", ["config.json", "vision.safetensors", "memory.safetensors", "starts.safetensors", CONTROLLER]
)
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "foreign"])
def test_a_damaged_file_is_refused_by_name(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "truncated": content[:-7], "foreign": b"\x93NUMPY"}[damage])
    with pytest.raises(UserError, match=name):
        load_agent(folder)


@pytest.mark.parametrize("name", ["vision", "memory", "starts", "controller"])
def test_the_file_of_another_part_is_refused(folder: Path, name: str) -> None:
    other = "starts" if name == "controller" else "controller"
    shutil.copy(folder / f"{other}.safetensors", folder / f"{name}.safetensors")
    with pytest.raises(UserError):
        load_agent(folder)


@pytest.mark.parametrize("section", ["task", "squash", "vision", "memory", "controller"])
@pytest.mark.parametrize("content", [None, 3, {"nonsense": 1}])
def test_a_damaged_section_is_refused(folder: Path, section: str, content: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {section: content}))
    with pytest.raises(UserError, match=section):
        load_agent(folder)


def test_another_schema_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"schema": 99}))
    with pytest.raises(UserError, match="schema 99"):
        load_agent(folder)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no checkpoint"):
        load_agent(tmp_path / "none")


@pytest.mark.parametrize("parameters", [torch.zeros(3), torch.zeros(2, 2), torch.full((22,), float("nan"))])
def test_parameters_that_do_not_fit_are_refused(folder: Path, parameters: torch.Tensor) -> None:
    save_tensors(folder / CONTROLLER, {"parameters": parameters})
    with pytest.raises(UserError):
        load_agent(folder)


def test_starts_of_another_memory_are_refused(tiny_agent: Agent, folder: Path) -> None:
    count = len(tiny_agent.starts.mu)
    wider = tiny_agent.starts._replace(h=torch.zeros(count, 9), c=torch.zeros(count, 9))
    dataclasses.replace(tiny_agent, starts=wider).save(folder)
    with pytest.raises(UserError, match="does not fit together"):
        load_agent(folder)


def test_playing_in_bfloat16_leaves_the_agents_weights_as_they_are(tiny_run: Run) -> None:
    agent = agent_of_run(tiny_run, "real")
    before = agent.digest()
    agent.real_world(1, dataclasses.replace(COMPUTE, precision="bfloat16"))
    assert agent.digest() == before
