"""Recorded episodes played again: the same rewards, the same frames, and the state that each frame shows."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worldmodels.collect import collect_rollouts
from worldmodels.config import MeasureConfig
from worldmodels.data import labels
from worldmodels.data.exchange import import_rollouts
from worldmodels.data.labels import Labels, Recorded, ReplayEpisode, label_rollouts, labelled_episodes
from worldmodels.data.rollouts import EPISODES, Rollouts
from worldmodels.envs.labelled import labelled_game
from worldmodels.errors import UserError
from worldmodels.files import read_json, write_json
from worldmodels.options import load_config
from worldmodels.runs import Run
from worldmodels.stage import Stage

STEPS = 40


def collected(folder: Path, name: str) -> Run:
    config = load_config([name])
    config = dataclasses.replace(
        config,
        collect=dataclasses.replace(config.collect, episodes=4, max_steps=STEPS),
        measure=MeasureConfig(label_episodes=2),
        compute=dataclasses.replace(config.compute, workers=0),
    )
    run = Run(folder, config)
    collect_rollouts(run)
    return run


@pytest.fixture(scope="module", params=["car_racing", "take_cover"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return collected(tmp_path_factory.mktemp("labels") / "run", request.param)


@pytest.fixture(scope="module")
def found(run: Run) -> Labels:
    found = label_rollouts(run)
    assert found is not None
    return found


def states(run: Run, number: int) -> tuple[list[Any], list[Any], list[float]]:
    """States, masks and rewards of an episode, played here step by step."""
    rollouts = Rollouts(run.rollouts.folder / EPISODES)
    actions = rollouts.steps(slice(*rollouts.starts[number : number + 2]))["action"]
    game, reader = labelled_game(run.config.task)
    assert reader is not None
    _, info = game.reset(seed=int(rollouts.seeds()[number]))
    seen, rewards = [reader.read(info)], []
    for action in actions:
        _, reward, _, _, info = game.step(action)
        rewards.append(reward)
        seen.append(reader.read(info))
    game.close()
    numbers, masks = zip(*seen, strict=True)
    return list(numbers[:-1]), list(masks[:-1]), rewards


def test_labels_are_of_the_moment_that_the_frame_shows(run: Run, found: Labels) -> None:
    rollouts = Rollouts(run.rollouts.folder / EPISODES)
    assert found.episodes.tolist() == [0, 2, 3]  # first and last for training, and the one for validation
    assert len(found.rows) == 3 * STEPS
    for number in found.episodes:
        rows = np.arange(rollouts.starts[number], rollouts.starts[number + 1])
        numbers, masks, rewards = states(run, number)
        assert np.array_equal(found.of(rows), numbers, equal_nan=True)
        assert np.array_equal(found.masks(rows), masks)
        recorded = rollouts.steps(slice(rows[0], rows[-1] + 1))["reward"]
        assert np.array_equal(np.array(rewards, np.float32), recorded)


def test_labels_change_within_an_episode(found: Labels) -> None:
    assert (np.diff(found.numbers[:STEPS], axis=0) != 0).any()


def test_labels_are_found_once(run: Run, found: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "Pool", None)
    again = label_rollouts(run)
    assert again is not None
    assert np.array_equal(again.numbers, found.numbers, equal_nan=True)
    assert again.labels == found.labels


def test_a_row_without_labels_is_refused(run: Run, found: Labels) -> None:
    with pytest.raises(KeyError, match="no labels"):
        found.of(np.array([STEPS]))  # of the second episode


def test_an_episode_that_comes_out_otherwise_is_refused(run: Run) -> None:
    replay = ReplayEpisode(run.config.task)
    episode = Recorded.of(Rollouts(run.rollouts.folder / EPISODES), 1)
    assert len(replay(episode).numbers) == STEPS
    rewards = episode.steps["reward"] + np.float32(1e-6) * (np.arange(STEPS) == 7)
    with pytest.raises(UserError, match=r"Episode 1 of .*the reward of step 7 differs"):
        replay(episode._replace(steps=episode.steps | {"reward": rewards}))
    with pytest.raises(UserError, match=r"the frame of step \d+ differs"):
        replay(episode._replace(seed=episode.seed + 1))
    replay.close()


def imported(run: Run, folder: Path, nudge: float) -> Run:
    """A run that has imported the episodes of another one, with rewards that may be a little off."""
    rollouts = Rollouts(run.rollouts.folder / EPISODES)
    (folder / "npz").mkdir(parents=True)
    for number in range(len(rollouts)):
        episode = Recorded.of(rollouts, number)
        np.savez(
            folder / "npz" / f"{number}.npz",
            frames=episode.frames,
            actions=episode.steps["action"],
            rewards=episode.steps["reward"] + np.float32(nudge),
            terminated=episode.steps["terminated"],
            seed=episode.seed,
        )
    made = Run(folder / "run", run.config)
    import_rollouts(made, npz=folder / "npz")
    return made


def test_imported_episodes_that_come_out_the_same_have_labels(run: Run, found: Labels, tmp_path: Path) -> None:
    labels = label_rollouts(imported(run, tmp_path, nudge=0.0))
    assert labels is not None
    assert np.array_equal(labels.numbers, found.numbers, equal_nan=True)


def test_imported_episodes_that_come_out_otherwise_have_no_labels(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = imported(run, tmp_path, nudge=1e-3)
    assert label_rollouts(made) is None
    said = capsys.readouterr().err
    assert "Episode 0 of the rollouts comes out otherwise" in said
    assert "the reward of step 0 differs, so the game's state is not known, and these rollouts have no labels." in said
    assert not made.labels.started
    collect = dataclasses.replace(run.config.collect, episodes=1, onto=str(made.folder))
    more = Run(tmp_path / "more", dataclasses.replace(run.config, collect=collect))
    collect_rollouts(more)
    assert label_rollouts(more) is None


def test_collected_episodes_that_come_out_otherwise_are_refused(run: Run, tmp_path: Path) -> None:
    made = imported(run, tmp_path, nudge=1e-3)
    path = made.rollouts.folder / Stage.RECORD
    record = read_json(path)
    del record["options"]["import"]
    write_json(path, record)
    summary, files = (read_json(made.rollouts.folder / "done.json")[name] for name in ("summary", "files"))
    made.rollouts.finish(summary, list(files))
    with pytest.raises(UserError, match=r"is not known: collect new rollouts on this machine\.$"):
        label_rollouts(made)


def test_a_game_that_tells_nothing_has_no_labels(tiny_run: Run) -> None:
    assert label_rollouts(tiny_run) is None
    assert not tiny_run.labels.folder.exists()


def test_damaged_labels_are_refused(run: Run, found: Labels, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "copy")
    copy = Run(tmp_path / "copy", run.config)
    (copy.labels.folder / labels.NUMBERS).write_bytes(b"no array")
    with pytest.raises(UserError, match="labels"):
        label_rollouts(copy)


def test_labels_of_other_episodes_are_refused_by_the_name_of_the_option(run: Run, found: Labels) -> None:
    other = Run(run.folder, dataclasses.replace(run.config, measure=MeasureConfig(label_episodes=1)))
    with pytest.raises(UserError, match=r"labels of other episodes than measure\.label_episodes = 1 chooses"):
        label_rollouts(other)


@pytest.mark.parametrize("count", [2, 11, 500])
@pytest.mark.parametrize("limit", [1, 8, 1000])
def test_labelled_episodes_are_of_both_sides(count: int, limit: int) -> None:
    chosen = labelled_episodes(count, 0.1, limit)
    held_out = chosen[chosen % 10 == 9] if count >= 10 else chosen[chosen == count - 1]
    assert 1 <= len(held_out) <= limit
    assert 1 <= len(chosen) - len(held_out) <= limit
    assert len(set(chosen.tolist())) == len(chosen)


def test_labels_are_not_begun_on_a_disk_that_is_too_full(run: Run, tmp_path: Path, full_disk: None) -> None:
    copy = Run(tmp_path / "run", run.config)
    shutil.copytree(run.rollouts.folder, copy.rollouts.folder)
    with pytest.raises(UserError, match="The labelling needs about"):
        label_rollouts(copy)
    assert not copy.labels.started
