import dataclasses
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from worldmodels.calibration import check_dream, plays, stage, train_checked_memory
from worldmodels.calibration.plays import PlayTrial, Trial
from worldmodels.errors import UserError
from worldmodels.evolution.train import train_controller
from worldmodels.files import read_json, write_json
from worldmodels.kept import CONTROLLER
from worldmodels.memory.train import train_memory
from worldmodels.play import Outcomes
from worldmodels.runs import Run
from worldmodels.seeds import UNSEEN

SCRIPTED = ["new every step", "held 1-10", "held 50-400", "still", "always -1", "always 1"]


@pytest.fixture
def run(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy of the tiny run, to be worked on."""
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    return Run(tmp_path / "run", tiny_run.config)


def calibrated(run: Run, **options: Any) -> Run:
    changed = dataclasses.replace(run.config.calibrate, **options)
    return Run(run.folder, dataclasses.replace(run.config, calibrate=changed))


def table(run: Run) -> dict[str, Any]:
    return read_json(run.calibration.folder / "table.json")


def test_every_player_stands_in_every_world(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    check_dream(calibrated(run, temperatures=(0.5, 1.0)))
    said = capsys.readouterr()
    found = table(run)
    players = [*SCRIPTED, "C (real)", "C (dream)"]
    worlds = [(player, temperature) for player in players for temperature in (None, 0.5, 1.0)]
    assert [(entry["player"], entry["temperature"]) for entry in found["entries"]] == worlds
    assert {entry["steps"]["episodes"] for entry in found["entries"]} == {3}
    assert found["max_steps"] == 9  # the longest recorded episode
    assert found["ends"]["steps"] > 0
    assert found["rewards"]["error"] > 0
    assert found["errors"][0]["horizon"] == 1
    seen = [(one["player"], one["temperature"]) for one in found["lifetimes"]]
    assert seen == [(player, world) for player in players for world in (None, 1.0)]
    text = (run.calibration.folder / "table.md").read_text()
    for word in (
        *players,
        "Steps survived",
        "Returns",
        "Ends in 1,000 steps",
        "Prediction error",
        "Done head",
        "Reward head",
    ):
        assert word in text
        assert word in said.out
    for complaint in found["complaints"]:
        assert complaint in said.err


def test_the_table_is_that_of_the_episodes(run: Run) -> None:
    check_dream(calibrated(run, episodes=5))
    seeds = UNSEEN[:5]
    lengths = np.array([1 + seed % 9 for seed in seeds])
    entry = next(e for e in table(run)["entries"] if e["player"] == "always 1")
    assert entry["steps"]["mean"] == lengths.mean()
    assert entry["steps"]["std"] == pytest.approx(lengths.std(ddof=1))
    assert entry["returns"]["mean"] == pytest.approx((lengths * (lengths - 1) / 2 + lengths / 4).mean())


def test_the_step_limit_is_the_option_where_that_is_shorter(run: Run) -> None:
    check_dream(calibrated(run, max_steps=4))
    assert table(run)["max_steps"] == 4
    assert max(entry["steps"]["mean"] for entry in table(run)["entries"]) <= 4


def test_a_killed_check_goes_on_to_the_same_table(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Run(tmp_path / "other", run.config)
    shutil.copytree(run.folder, other.folder)
    check_dream(other)
    original, count = PlayTrial.__call__, 0

    def dying(self: PlayTrial, trial: Trial) -> Outcomes:
        nonlocal count
        count += 1
        if count % 4 == 0:
            raise KeyboardInterrupt
        return original(self, trial)

    monkeypatch.setattr(PlayTrial, "__call__", dying)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            check_dream(run)
        assert not (run.calibration.folder / "table.json").exists()
    check_dream(run)
    for name in ("table.json", "table.md"):
        assert (run.calibration.folder / name).read_bytes() == (other.calibration.folder / name).read_bytes()


def test_a_check_that_was_killed_between_its_files_is_made_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(stage, "write_text", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_checked_memory(run)
    train_checked_memory(run)
    assert (run.calibration.folder / "table.md").exists()


def test_a_check_of_the_same_plays_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    check_dream(run)
    before = table(run)
    monkeypatch.setattr(plays, "Pool", None)
    check_dream(run)
    assert table(run) == before


def test_an_agent_of_another_m_is_left_out(run: Run) -> None:
    controller = run.controller("dream")
    path, summary = controller.folder / "options.json", controller.summary()
    write_json(path, read_json(path) | {"upstream": {"memory": "another"}})
    controller.finish(summary, [CONTROLLER])
    check_dream(run)
    assert [e["player"] for e in table(run)["entries"] if e["temperature"] is None] == [*SCRIPTED, "C (real)"]


def with_controller(run: Run, name: str, members: int = 1, **options: Any) -> Run:
    """The run with a further controller, trained, and as many Ms as that takes."""
    controller = dataclasses.replace(run.config.controllers["dream"], generations=2, **options)
    memory = dataclasses.replace(run.config.memory, members=members)
    controllers = run.config.controllers | {name: controller}
    further = Run(run.folder, dataclasses.replace(run.config, memory=memory, controllers=controllers))
    train_memory(further)
    train_controller(further, name)
    return further


def test_an_agent_whose_m_is_untrained_plays_the_game_alone(run: Run) -> None:
    check_dream(calibrated(with_controller(run, "random", world="real", memory="untrained"), temperatures=(0.5, 1.0)))
    worlds = [entry["temperature"] for entry in table(run)["entries"] if entry["player"] == "C (random)"]
    assert worlds == [None]
    for sheet in (run.calibration.folder / "table.md").read_text().split("## ")[1:]:
        rows = [row for row in sheet.splitlines() if row.startswith("|")]
        assert len({row.count("|") for row in rows}) == 1  # its cells of the dreams are there, and empty


def test_an_agent_that_an_ensemble_taught_is_compared(run: Run) -> None:
    check_dream(with_controller(run, "wary", members=2, ensemble="member"))
    worlds = [entry["temperature"] for entry in table(run)["entries"] if entry["player"] == "C (wary)"]
    assert worlds == [None, 1.0]


def test_training_ends_with_the_check_and_does_it_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(run.memory.folder)
    shutil.rmtree(run.folder / "controllers")
    train_checked_memory(run)
    assert table(run)["memory"] == run.memory.fingerprint()
    monkeypatch.setattr(stage, "check_dream", None)
    train_checked_memory(run)


def test_another_m_is_checked_again(run: Run) -> None:
    train_checked_memory(run)
    shutil.rmtree(run.memory.folder)
    other = Run(run.folder, dataclasses.replace(run.config, memory=dataclasses.replace(run.config.memory, hidden=9)))
    train_checked_memory(other)
    assert table(run)["memory"] == other.memory.fingerprint()


def test_the_check_can_be_switched_off(run: Run) -> None:
    train_checked_memory(calibrated(run, episodes=0))
    assert not run.calibration.folder.exists()
    with pytest.raises(UserError, match=r"calibrate\.episodes is 0"):
        check_dream(calibrated(run, episodes=0))


def test_m_is_kept_if_its_game_cannot_be_played(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run.memory.folder)

    def unplayable(*arguments: Any) -> None:
        raise UserError("The game cannot be made.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worldmodels.agent.make_perturbed_game", unplayable)
        train_checked_memory(run)
        assert run.memory.done
        assert "not compared with the game: The game cannot be made." in capsys.readouterr().err
        with pytest.raises(UserError, match="cannot be made"):
            check_dream(run)
    train_checked_memory(run)
    assert table(run)["memory"] == run.memory.fingerprint()


def test_an_m_without_heads_is_checked_for_its_predictions_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run.memory.folder)
    memory = dataclasses.replace(run.config.memory, reward_head=False, done_head=False)
    headless = Run(run.folder, dataclasses.replace(run.config, memory=memory))
    train_checked_memory(headless)
    assert "its dream is no game" in capsys.readouterr().err
    found = table(run)
    assert (found["entries"], found["lifetimes"], found["ends"], found["rewards"]) == ([], [], None, None)
    assert found["errors"]


def test_an_m_that_is_not_trained_is_refused(tmp_path: Path, run: Run) -> None:
    shutil.rmtree(run.memory.folder)
    with pytest.raises(UserError, match=r"M is missing .* run scripts/train_memory.py first"):
        check_dream(run)


def test_a_dream_like_the_game_is_praised(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The dream of this test is the game itself."""
    with pytest.MonkeyPatch.context() as patch:
        original = PlayTrial.__call__

        def awake(self: PlayTrial, trial: Trial) -> Outcomes:
            return original(self, dataclasses.replace(trial, temperature=None))

        patch.setattr(PlayTrial, "__call__", awake)
        check_dream(run)
    assert "The dream is calibrated" in capsys.readouterr().err
    assert {e["steps_ratio"] for e in table(run)["entries"]} == {None, 1.0}
