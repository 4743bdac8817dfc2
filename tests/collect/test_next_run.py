"""Another iteration of training: a run's rollouts, with episodes that its agent plays added to them."""

import dataclasses
import shutil
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest

from worldmodels.agent import agent_of_run
from worldmodels.collect import collect_rollouts
from worldmodels.config import Config
from worldmodels.data.rollouts import EPISODES, Rollouts
from worldmodels.errors import UserError
from worldmodels.iterations import next_run
from worldmodels.runs import Run


def table(run: Run) -> pa.Table:
    return Rollouts(run.rollouts.folder / EPISODES).data.to_table()


def with_collect(run: Run, **options: object) -> Run:
    collect = dataclasses.replace(run.config.collect, **options)
    return Run(run.folder, dataclasses.replace(run.config, collect=collect))


@pytest.fixture
def follower(tiny_run: Run, tmp_path: Path) -> Run:
    """A run that adds 5 episodes to the tiny run's 12."""
    run = with_collect(next_run(tiny_run, "real", tmp_path / "next"), episodes=5)
    collect_rollouts(run)
    return run


def test_the_earlier_episodes_come_first_and_the_agents_follow(tiny_run: Run, follower: Run) -> None:
    before, rollouts = table(tiny_run), Rollouts(follower.rollouts.folder / EPISODES)
    assert len(rollouts) == 17
    assert follower.rollouts.summary()["episodes"] == 17
    assert table(follower).slice(0, len(before)).equals(before)
    assert len(set(table(follower)["seed"].to_pylist())) == 17


def test_the_agent_and_the_rollouts_before_are_part_of_the_record(tiny_run: Run, follower: Run) -> None:
    options = follower.rollouts.options()
    assert options["agent"] == agent_of_run(tiny_run, "real").digest()
    assert options["onto"] == tiny_run.rollouts.fingerprint()
    with pytest.raises(UserError, match="was made with agent = "):
        collect_rollouts(with_collect(follower, agent=str(tiny_run.controller("dream").folder)))


def test_more_episodes_later_are_those_of_one_long_collection(tiny_run: Run, follower: Run, tmp_path: Path) -> None:
    whole = with_collect(next_run(tiny_run, "real", tmp_path / "whole"), episodes=8)
    for run in (whole, with_collect(follower, episodes=8)):
        collect_rollouts(run)
    assert table(follower).equals(table(whole))
    assert follower.rollouts.fingerprint() == whole.rollouts.fingerprint()


def test_frames_are_counted_of_the_added_episodes_only(tiny_run: Run, tmp_path: Path) -> None:
    before = tiny_run.rollouts.summary()["frames"]
    run = with_collect(next_run(tiny_run, "real", tmp_path / "next"), episodes=1, frames=30)
    collect_rollouts(run)
    lengths = Rollouts(run.rollouts.folder / EPISODES).lengths[12:]
    assert lengths.sum() == run.rollouts.summary()["frames"] - before
    assert lengths[:-1].sum() < 30 <= lengths.sum()


def test_a_run_that_was_added_to_may_go(tiny_run: Run, tmp_path: Path) -> None:
    first = Run(tmp_path / "first", tiny_run.config)
    shutil.copytree(tiny_run.folder, first.folder)
    second = with_collect(next_run(first, "dream", tmp_path / "second"), episodes=2)
    collect_rollouts(second)
    expected = table(second)
    shutil.rmtree(first.folder)
    assert table(second).equals(expected)


def test_adding_leaves_the_earlier_run_as_it_was(tiny_run: Run, follower: Run) -> None:
    tiny_run.rollouts.verify()
    data = [run.rollouts.folder / EPISODES / "data" for run in (tiny_run, follower)]
    before, after = ({path.name: path.stat().st_ino for path in folder.iterdir()} for folder in data)
    assert before.items() < after.items()  # the same files, not copies of them
    assert len(Rollouts(tiny_run.rollouts.folder / EPISODES)) == 12
    assert len(table(follower)) > len(table(tiny_run))


def test_where_files_cannot_be_shared_they_are_copied(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: str, target: str) -> None:
        raise OSError("not here")

    monkeypatch.setattr("os.link", no_links)
    run = with_collect(next_run(tiny_run, "real", tmp_path / "next"), policy="uniform", episodes=1)
    collect_rollouts(run)
    assert len(Rollouts(run.rollouts.folder / EPISODES)) == 13


def test_an_agent_may_collect_on_its_own(tiny_run: Run, tmp_path: Path) -> None:
    run = with_collect(next_run(tiny_run, "real", tmp_path / "own"), episodes=3, onto=None)
    collect_rollouts(run)
    actions = np.array(table(run)["action"].to_pylist())
    assert len(Rollouts(run.rollouts.folder / EPISODES)) == 3
    assert len(np.unique(actions)) > 3


def test_the_agent_of_a_checkpoint_collects_what_the_runs_does(tiny_run: Run, follower: Run, tmp_path: Path) -> None:
    agent_of_run(tiny_run, "real").save(tmp_path / "checkpoint")
    run = with_collect(Run(tmp_path / "again", follower.config), agent=str(tmp_path / "checkpoint"))
    collect_rollouts(run)
    assert table(run).equals(table(follower))


def refusal(run: Run) -> str:
    with pytest.raises(UserError) as error:
        collect_rollouts(run)
    assert not (run.rollouts.folder / EPISODES).exists()
    return str(error.value)


def test_rollouts_with_other_columns_are_refused_before_they_are_copied(tiny_run: Run, tmp_path: Path) -> None:
    first = Run(tmp_path / "first", tiny_run.config)
    shutil.copytree(tiny_run.folder, first.folder)
    path = str(first.rollouts.folder / EPISODES)
    lance.write_dataset(lance.dataset(path).to_table(columns=["episode", "step", "seed"]), path, mode="overwrite")
    run = with_collect(next_run(first, "real", tmp_path / "next"), policy="uniform")
    assert "its columns should be" in refusal(run)


def test_rollouts_whose_numbers_have_changed_are_refused_before_they_are_copied(tiny_run: Run, tmp_path: Path) -> None:
    first = Run(tmp_path / "first", tiny_run.config)
    shutil.copytree(tiny_run.folder, first.folder)
    path = str(first.rollouts.folder / EPISODES)
    rows = lance.dataset(path).to_table()
    rewards = rows["reward"].to_numpy().copy()
    rewards[3] += 1
    place = rows.schema.get_field_index("reward")
    lance.write_dataset(rows.set_column(place, rows.schema.field(place), pa.array(rewards)), path, mode="overwrite")
    run = with_collect(next_run(first, "real", tmp_path / "next"), policy="uniform")
    assert "its numbers are not those collected" in refusal(run)


def other_game(config: Config) -> Config:
    task = dataclasses.replace(config.task, env="CartPole-v1", render_pixels=True)
    return dataclasses.replace(config, task=task)


def test_what_does_not_fit_is_refused(tiny_run: Run, tmp_path: Path) -> None:
    run = next_run(tiny_run, "real", tmp_path / "next")
    assert "collect.agent should name the folder" in refusal(with_collect(run, agent=None))
    assert "There is no checkpoint" in refusal(with_collect(run, agent=str(tmp_path / "none")))
    assert "is missing" in refusal(with_collect(run, agent=str(tiny_run.folder / "controllers" / "none")))
    assert "is missing" in refusal(with_collect(run, onto=str(tmp_path / "none")))
    assert "takes other actions" in refusal(Run(run.folder, other_game(run.config)))
    uniform = with_collect(run, policy="uniform")
    assert "have other actions" in refusal(Run(run.folder, other_game(uniform.config)))
    assert "collect.hold is 5 to 2" in refusal(with_collect(run, hold=(5, 2)))


def test_a_run_cannot_be_added_to_itself(follower: Run) -> None:
    with pytest.raises(UserError, match="itself"):
        collect_rollouts(with_collect(follower, onto=str(follower.folder)))
