import dataclasses
from pathlib import Path
from typing import Any

import pytest
from counting import episode_length, tiny_config

import worldmodels.collect.stage
from worldmodels.collect import collect_rollouts
from worldmodels.collect.progress import Goal, Sample
from worldmodels.collect.room import ROW_BYTES, look
from worldmodels.config import Config
from worldmodels.data.rollouts import EPISODES, Rollouts
from worldmodels.envs.make import make_game
from worldmodels.errors import UserError
from worldmodels.runs import Run
from worldmodels.seeds import TRAINING


def test_what_is_left_is_counted_in_episodes_or_in_frames_whichever_is_more() -> None:
    sample = Sample(step_bytes=100, length=10)
    assert sample.needed(Goal(20, 0), 5, 50) == 15 * 10 * 100
    assert sample.needed(Goal(20, 1000), 5, 50) == 950 * 100
    assert sample.needed(Goal(5, 0), 9, 99) == 0


def test_a_look_finds_the_length_of_an_episode_that_ends() -> None:
    game = make_game(tiny_config().task)
    sample = look(game, 1000)
    game.close()
    assert sample.length == episode_length(TRAINING[0])
    assert ROW_BYTES < sample.step_bytes < ROW_BYTES + 500  # a nearly blank picture


def test_of_an_episode_that_goes_on_the_limit_is_taken() -> None:
    game = make_game(tiny_config().task)
    assert look(game, 1).length == 1
    game.close()


def small_disk(monkeypatch: pytest.MonkeyPatch, at: int) -> list[float]:
    """Refuses the question for room of that number; returns what was asked for."""
    asked: list[float] = []

    def require(folder: Path, needed: float, what: str, compute: Any) -> None:
        asked.append(needed)
        if len(asked) == at:
            raise UserError(f"{what} needs more.")

    monkeypatch.setattr(worldmodels.collect.stage, "require_space", require)
    monkeypatch.setattr(worldmodels.collect.stage, "FLUSH_ROWS", 15)
    return asked


def test_a_collection_that_is_refused_leaves_its_folder_free_for_other_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = small_disk(monkeypatch, 1)
    with pytest.raises(UserError, match="The collection needs more"):
        collect_rollouts(Run(tmp_path, tiny_config()))
    assert asked[0] > 12 * ROW_BYTES
    monkeypatch.undo()
    collect_rollouts(Run(tmp_path, dataclasses.replace(tiny_config(), seed=9)))


def test_a_collection_stops_before_the_disk_is_full_and_goes_on(
    tmp_path: Path, tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, config = small_disk(monkeypatch, 3), tiny_config()
    with pytest.raises(UserError, match="The rest of the collection needs more"):
        collect_rollouts(Run(tmp_path, config))
    half = Rollouts(tmp_path / "rollouts" / EPISODES)
    assert 0 < len(half) < config.collect.episodes
    assert asked[1] > asked[2] > 0
    monkeypatch.undo()
    collect_rollouts(Run(tmp_path, config))
    assert rows(tmp_path) == rows(tiny_run.folder)


def rows(folder: Path) -> list[dict]:
    return Rollouts(folder / "rollouts" / EPISODES).data.to_table().to_pylist()


def test_what_a_failed_write_has_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_disk(monkeypatch, 3)
    config: Config = tiny_config()
    with pytest.raises(UserError):
        collect_rollouts(Run(tmp_path, config))
    left = tmp_path / "rollouts" / EPISODES / "data" / "0123.lance"
    left.write_bytes(b"half a file")
    monkeypatch.undo()
    collect_rollouts(Run(tmp_path, config))
    assert not left.exists()
