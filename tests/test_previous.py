"""V, M and C of a run that goes on from another one begin where those ended."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from evolving import with_controller

from worldmodels.agent import blank_agent, load_parameters
from worldmodels.config import Config
from worldmodels.errors import UserError
from worldmodels.evolution.first_mean import first_mean
from worldmodels.evolution.train import Evolution, train_controller
from worldmodels.export import export_agent
from worldmodels.kept import CONTROLLER
from worldmodels.memory.train import WEIGHTS, train_memory, trained_member
from worldmodels.options import write_yaml
from worldmodels.runs import Run
from worldmodels.tensors import load_tensors, save_tensors
from worldmodels.vision.train import VisionTraining, train_vision, trained_vision
from worldmodels.vision.vae import VAEConfig

TINY = 1e-12
"""A learning rate at which nothing is learned."""


@pytest.fixture
def before(tiny_run: Run, tmp_path: Path) -> Run:
    """A finished run that a test may change."""
    shutil.copytree(tiny_run.folder, tmp_path / "before")
    return Run(tmp_path / "before", tiny_run.config)


@pytest.fixture
def after(before: Run) -> Run:
    """A run with the same rollouts that goes on from it, and hardly learns."""
    shutil.copytree(before.rollouts.folder, before.folder.parent / "after" / "rollouts")
    config = before.config
    vision = dataclasses.replace(config.vision, learning_rate=TINY)
    memory = dataclasses.replace(config.memory, learning_rate=TINY, final_learning_rate=TINY)
    config = dataclasses.replace(config, previous=str(before.folder), vision=vision, memory=memory)
    return Run(before.folder.parent / "after", config)


def changed(run: Run, **options: object) -> Run:
    return Run(run.folder, dataclasses.replace(run.config, **options))


def with_memory(run: Run, **options: object) -> Run:
    return changed(run, memory=dataclasses.replace(run.config.memory, **options))


def assert_same_weights(one: torch.nn.Module, other: torch.nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        assert torch.allclose(tensor, other.state_dict()[name], atol=1e-6), name


def test_v_begins_at_the_previous_weights(before: Run, after: Run) -> None:
    expected = trained_vision(before)
    assert VisionTraining(after).model.state_dict() == expected.state_dict()
    assert VisionTraining(changed(after, previous=None)).model.state_dict() != expected.state_dict()
    train_vision(after)
    assert_same_weights(trained_vision(after), expected)
    assert after.vision.options()["previous"] == before.vision.fingerprint()


def test_a_v_of_convolutions_learns_on(before: Run, after: Run) -> None:
    vision = VAEConfig(model="vae", latent_dim=4, steps=2, batch=4, validate_every=2, validation_frames=4)
    shutil.rmtree(before.vision.folder)
    first = changed(before, vision=vision)
    train_vision(first)
    (before.folder / "config.yaml").write_text(write_yaml(first.config))
    run = changed(after, vision=dataclasses.replace(vision, learning_rate=TINY))
    train_vision(run)
    assert_same_weights(trained_vision(run), trained_vision(first))


def test_every_m_begins_at_the_previous_weights_of_its_number(before: Run, after: Run) -> None:
    train_memory(with_memory(before, members=2))
    run = with_memory(after, members=3)
    train_vision(run)
    train_memory(run)
    for number in (0, 1):
        assert_same_weights(trained_member(run, number)[0], trained_member(before, number)[0])
        assert run.member(number).options()["previous"] == before.member(number).fingerprint()
    fresh, old = (trained_member(run, number)[0].head.weight for number in (2, 0))
    assert not torch.allclose(fresh, old, atol=0.01)
    assert "previous" not in run.member(2).options()


def test_without_steps_v_and_m_stay_to_the_bit(before: Run, after: Run) -> None:
    kept = Run(after.folder, sized(sized(after.config, "vision", steps=0), "memory", steps=0))
    train_vision(kept)
    train_memory(kept)
    for trained in (trained_vision, lambda run: trained_member(run, 0)[0]):
        for name, tensor in trained(kept).state_dict().items():
            assert torch.equal(tensor, trained(before).state_dict()[name])
    train_controller(kept, "real")


def test_no_steps_and_nothing_to_keep_is_refused(before: Run, after: Run) -> None:
    fresh = Run(after.folder, sized(changed(after, previous=None).config, "vision", steps=0))
    assert "vision.steps is 0" in refusal(train_vision, fresh)
    train_vision(after)
    further = Run(after.folder, sized(with_memory(after, members=2).config, "memory", steps=0))
    assert "memory.steps is 0" in refusal(train_memory, further)  # there was no second M


def test_c_evolves_on_from_the_previous_one(before: Run, after: Run) -> None:
    train_vision(after)
    train_memory(after)
    expected = load_parameters(before.controller("real").folder / CONTROLLER)
    run = Run(after.folder, with_controller(after.config, "real", sigma0=1e-6))
    evolution = Evolution(run, run.controller("real"), "real", run.config.controllers["real"])
    assert np.array_equal(evolution.optimizer.mean, expected)
    assert np.allclose(evolution.optimizer.ask(), expected, atol=1e-4)
    train_controller(run, "real")
    assert np.allclose(load_parameters(run.controller("real").folder / CONTROLLER), expected, atol=1e-4)
    assert run.controller("real").options()["previous"] == before.controller("real").fingerprint()
    more = Run(run.folder, with_controller(run.config, "real", generations=6))
    train_controller(more, "real")  # the recorded generations are asked for again from the same mean
    assert more.controller("real").summary()["generations"] == 6


@pytest.mark.parametrize(("name", "options"), [("new", {}), ("real", {"inputs": "z"}), ("real", {"bias": False})])
def test_a_c_that_sees_something_else_begins_at_zero(
    name: str, options: dict, before: Run, after: Run, capsys: pytest.CaptureFixture
) -> None:
    for folder in ("vision", "memory"):
        shutil.copytree(before.folder / folder, after.folder / folder)
    run = Run(after.folder, with_controller(after.config, name, **options))
    assert first_mean(run, name, blank_agent(run, run.config.controllers[name])) is None
    assert f"C {name} begins at zero" in capsys.readouterr().err


def test_a_run_without_a_previous_one_says_nothing_of_it(tiny_run: Run) -> None:
    for stage in (tiny_run.vision, tiny_run.memory, tiny_run.controller("real")):
        assert "previous" not in stage.options()


@pytest.fixture
def checkpoint(before: Run, after: Run) -> Run:
    """The run that goes on, from a checkpoint of the other one."""
    folder = before.folder.parent / "checkpoint"
    export_agent(before, "real", folder, half=False)
    return changed(after, previous=str(folder))


def test_a_checkpoint_is_gone_on_from_like_the_run_that_it_was_written_from(before: Run, checkpoint: Run) -> None:
    shutil.copytree(before.folder, before.folder.parent / "kept")
    shutil.rmtree(before.folder)
    before = Run(before.folder.parent / "kept", before.config)
    train_vision(checkpoint)
    assert_same_weights(trained_vision(checkpoint), trained_vision(before))
    run = with_memory(checkpoint, members=2)
    train_memory(run)
    assert_same_weights(trained_member(run, 0)[0], trained_member(before, 0)[0])
    assert "previous" not in run.member(1).options()
    run = Run(run.folder, with_controller(run.config, "any", sigma0=1e-6))
    train_controller(run, "any")
    expected = load_parameters(before.controller("real").folder / CONTROLLER)
    assert np.allclose(load_parameters(run.controller("any").folder / CONTROLLER), expected, atol=1e-4)
    assert len(run.controller("any").options()["previous"]) == 16


def test_a_checkpoint_that_is_not_whole_or_of_other_sizes_is_refused(checkpoint: Run) -> None:
    wider = Run(checkpoint.folder, sized(checkpoint.config, "vision", latent_dim=6))
    assert "checkpoint has vision.latent_dim = 5, and 6 is asked for" in refusal(train_vision, wider)
    folder = Path(str(checkpoint.config.previous))
    (folder / "memory.safetensors").unlink()
    assert "memory.safetensors is missing" in refusal(train_vision, checkpoint)
    (folder / "memory.safetensors").write_bytes(b"nothing")
    train_vision(checkpoint)
    assert "memory.safetensors cannot be read" in refusal(train_memory, checkpoint)
    (folder / "config.json").write_text("{}")
    assert "config.json" in refusal(train_memory, checkpoint)


def refusal(work: Callable[[Run], None], run: Run) -> str:
    with pytest.raises(UserError) as error:
        work(run)
    assert "\n" not in str(error.value)
    return str(error.value)


def sized(config: Config, section: str, **options: object) -> Config:
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **options)})


def test_other_sizes_are_refused_by_name(before: Run, after: Run) -> None:
    wider = Run(after.folder, sized(after.config, "vision", latent_dim=6))
    assert "before has vision.latent_dim = 5, and 6 is asked for" in refusal(train_vision, wider)
    other = Run(after.folder, sized(after.config, "vision", model="vae"))
    assert "before has vision.model = counter, and vae is asked for" in refusal(train_vision, other)
    train_vision(after)  # a refusal leaves the folder free for other options
    bigger = Run(after.folder, sized(after.config, "memory", hidden=9))
    assert "before has memory.hidden = 8, and 9 is asked for" in refusal(train_memory, bigger)
    train_memory(after)


def test_a_latent_size_that_changed_between_is_refused_by_m(before: Run, after: Run) -> None:
    path = before.memory.folder / WEIGHTS
    tensors, metadata = load_tensors(path)
    tensors["lstm.weight_ih_l0"] = torch.zeros(32, 9)
    tensors["head.weight"], tensors["head.bias"] = torch.zeros(2 * 3 * 7 + 2, 8), torch.zeros(2 * 3 * 7 + 2)
    save_tensors(path, tensors, **metadata | {"latent_dim": 7})
    before.memory.finish(before.memory.summary(), [WEIGHTS])
    train_vision(after)
    why = "before has vision.latent_dim = 7, and 5 is asked for: keep 7, or begin anew: --anew memory."
    assert why in refusal(train_memory, after)


def with_clipped_actions(run: Run) -> None:
    """Say of a run's rollouts that their actions are clipped; of the same size they are all the same."""
    summary = run.rollouts.summary()
    run.rollouts.finish(summary | {"squash": summary["squash"] | {"clip": [True]}})


def test_actions_that_mean_something_else_are_refused_by_m(before: Run, after: Run) -> None:
    with_clipped_actions(after)
    train_vision(after)
    why = "before has actions of clip = (False,), and those of"
    assert why in refusal(train_memory, after)
    assert "have (True,): keep the game and its task.squash" in refusal(train_memory, after)
    shutil.rmtree(before.rollouts.folder)
    train_memory(after)


def test_actions_that_mean_something_else_than_to_a_checkpoint_are_refused(checkpoint: Run) -> None:
    with_clipped_actions(checkpoint)
    train_vision(checkpoint)
    assert "checkpoint has actions of clip = (False,)" in refusal(train_memory, checkpoint)


def test_a_previous_run_that_is_not_there_or_not_finished_is_refused(before: Run, after: Run, tmp_path: Path) -> None:
    assert "there is no run" in refusal(train_vision, changed(after, previous=str(tmp_path / "none")))
    assert "itself" in refusal(train_vision, changed(after, previous=str(after.folder)))
    train_vision(after)
    train_memory(after)
    (before.controller("real").folder / "done.json").unlink()
    assert "The controller real is not finished" in refusal(lambda run: train_controller(run, "real"), after)
    (before.memory.folder / "done.json").unlink()
    assert "M is not finished" in refusal(train_vision, after)


def test_what_begins_anew_takes_nothing_from_the_previous_run(before: Run, after: Run) -> None:
    run = changed(after, anew="memory", seed=after.config.seed + 1)
    train_vision(run)
    train_memory(run)
    train_controller(run, "real")
    assert run.vision.options()["previous"] == before.vision.fingerprint()
    assert "previous" not in run.memory.options()
    assert "previous" not in run.controller("real").options()
    fresh, old = (trained_member(one, 0)[0].head.weight for one in (run, before))
    assert not torch.allclose(fresh, old, atol=0.01)
    assert first_mean(run, "real", blank_agent(run, run.config.controllers["real"])) is None


def test_what_begins_anew_may_be_of_another_size(before: Run, after: Run) -> None:
    run = changed(Run(after.folder, sized(after.config, "memory", hidden=9)), anew="memory")
    train_vision(run)
    train_memory(run)
    assert trained_member(run, 0)[0].config.hidden == 9


def test_what_begins_anew_has_nothing_to_keep(after: Run) -> None:
    run = Run(after.folder, sized(changed(after, anew="vision").config, "vision", steps=0))
    assert "vision.steps is 0" in refusal(train_vision, run)


def test_another_previous_run_is_another_result(before: Run, after: Run) -> None:
    train_vision(after)
    before.vision.finish(before.vision.summary() | {"trained": "again"}, ["vision.safetensors"])
    assert "was made with previous = " in refusal(train_vision, after)
    assert "was made with previous = " in refusal(train_vision, changed(after, previous=None))


def test_damaged_weights_of_the_previous_run_are_refused(before: Run, after: Run) -> None:
    (before.vision.folder / "vision.safetensors").write_bytes(b"nothing")
    assert "vision.safetensors is missing or damaged" in refusal(train_vision, after)
