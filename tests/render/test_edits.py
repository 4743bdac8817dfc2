"""Latent arithmetic on the counting game, where moving the latent moves the count, and on a tiny CarRacing run."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from worldmodels.agent import Agent
from worldmodels.envs.state import Label
from worldmodels.errors import UserError
from worldmodels.measure.attributes import Attribute
from worldmodels.render.edit_stage import edit_latents
from worldmodels.render.edits import ALONE, STEPS, dream_pictures, edited_dreams, ramp, strip
from worldmodels.runs import Run

COUNT = Label("count", "what the frame shows", "low", "high")


@pytest.fixture
def attribute() -> Attribute:
    """The count itself."""
    return Attribute(COUNT, 0.0, 1.0, np.array([10.0], np.float32), np.array([1.0]), 0.0)


@pytest.fixture
def counting(agent: Agent, vision, memory, starts) -> Agent:
    """An agent of the counting game whose V and M know it; its C does nothing."""
    parameters = np.zeros(3, np.float32)
    return dataclasses.replace(agent, vision=vision, memory=memory, starts=starts, parameters=parameters)


def test_a_strip_moves_every_frame_both_ways(vision, attribute: Attribute) -> None:
    frames = np.stack([np.full((64, 64, 3), count, np.uint8) for count in (50, 90)])
    picture, read = strip(vision, attribute, frames, alpha=4, scale=1)
    assert read == pytest.approx([70 + 10 * value for value in range(-4, 5)])
    assert len(read) == STEPS
    assert picture.shape[1] == (STEPS + 1) * 68 - 4


def test_dreams_are_pushed_both_ways_and_one_is_left_alone(counting: Agent, attribute: Attribute) -> None:
    moments = list(edited_dreams(counting, attribute, [0.0, 0.1, 0.1], dreams=2, temperature=0.0))
    assert [moment.alpha for moment in moments] == [0.0, 0.1, 0.1]
    for pushes, moment in enumerate(moments):
        low, alone, high = moment.read
        assert low == pytest.approx(alone - pushes)  # M goes on from the moved count: pushes of 1 add up
        assert high == pytest.approx(alone + pushes)
        assert (moment.frames[..., 0, 0, 0] == moment.read).all()
    assert moments[0].read.shape == (3, 2)


def test_dreams_end_one_by_one(counting: Agent, attribute: Attribute, mortal_memory) -> None:
    mortal = dataclasses.replace(counting, memory=mortal_memory)
    moments = list(edited_dreams(mortal, attribute, [0.1] * 80, dreams=1, temperature=0.0))
    assert len(moments) < 80
    assert moments[-1].over.all()
    assert moments[2].over.tolist() != moments[-1].over.tolist()
    pictures = list(dream_pictures(attribute, iter(moments), 1, "title"))
    assert len(pictures) == len(moments)
    assert len({picture.shape for picture in pictures}) == 1
    assert ALONE == 1


def test_the_ramp_rests_rises_and_stays() -> None:
    values = ramp(0.2, 80)
    assert values[:11] == [0.0] * 11
    assert values[60:] == [0.2] * 20
    assert values == sorted(values)


@pytest.fixture
def run(tiny_car_run: Run, tmp_path: Path) -> Run:
    for stage in ("rollouts", "vision", "latents", "memory"):
        shutil.copytree(tiny_car_run.folder / stage, tmp_path / "run" / stage)
    return Run(tmp_path / "run", tiny_car_run.config)


def test_a_runs_latents_are_edited(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (run.folder / "edits").mkdir()
    (run.folder / "edits" / ".dream-speed.mp4.123.tmp.mp4").touch()  # left by a kill
    edit_latents(run, ("speed", "heading"))
    names = {path.name for path in (run.folder / "edits").iterdir()}
    assert names == {"edits.json", "speed.png", "dream-speed.mp4", "heading.png", "dream-heading.mp4"}
    told = json.loads((run.folder / "edits" / "edits.json").read_text())
    assert set(told["attributes"]) == {"speed", "heading"}
    assert len(told["attributes"]["speed"]["read_back"]) == STEPS
    assert set(told["attributes"]["speed"]["in_dreams"]) == {"low", "high"}
    assert "slow to fast" in capsys.readouterr().out


def test_without_an_m_only_frames_are_edited(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run.memory.folder)
    edit_latents(run, ("speed",))
    assert {path.name for path in (run.folder / "edits").iterdir()} == {"edits.json", "speed.png"}
    assert "no M yet" in capsys.readouterr().err


def test_an_attribute_that_the_game_does_not_have_is_refused(run: Run) -> None:
    with pytest.raises(UserError, match="no attribute sped: it has speed, steering, distance"):
        edit_latents(run, ("sped",))
    assert not (run.folder / "edits").exists()


def test_a_controller_that_the_run_does_not_have_is_refused(run: Run) -> None:
    with pytest.raises(UserError, match="controller other is missing"):
        edit_latents(run, ("speed",), name="other")


def test_a_game_that_tells_nothing_has_no_attributes(tiny_run: Run) -> None:
    with pytest.raises(UserError, match="counting tells nothing of its state"):
        edit_latents(tiny_run)
