import dataclasses
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
import torch
from counting import tiny_config

from worldmodels.collect import collect_rollouts, jobs, stage
from worldmodels.collect.jobs import job_maker
from worldmodels.collect.stage import episode_seed, group_size
from worldmodels.config import CollectConfig, Config
from worldmodels.data.rollouts import EPISODES, Rollouts, append_episodes, schema, to_table
from worldmodels.envs.actions import Squash
from worldmodels.errors import UserError
from worldmodels.exploration.policies import ExploringPolicy, PolicyMaker, policy_maker
from worldmodels.runs import Run
from worldmodels.seeds import TRAINING


def config_with(**sections: dict) -> Config:
    config = tiny_config(episodes=5)
    return dataclasses.replace(
        config, **{name: dataclasses.replace(getattr(config, name), **options) for name, options in sections.items()}
    )


def collected(folder: Path, config: Config) -> Run:
    run = Run(folder, config)
    collect_rollouts(run)
    return run


def rows(run: Run) -> list[dict]:
    return Rollouts(run.rollouts.folder / EPISODES).data.to_table().to_pylist()


def test_more_episodes_later_are_those_of_one_long_collection(tmp_path: Path) -> None:
    collected(tmp_path / "a", tiny_config(episodes=4))
    grown = collected(tmp_path / "a", tiny_config(episodes=9))
    assert rows(grown) == rows(collected(tmp_path / "b", tiny_config(episodes=9)))
    assert grown.rollouts.summary()["episodes"] == 9


def test_episodes_played_in_groups_are_those_played_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = collected(tmp_path / "alone", tiny_config(episodes=9))
    monkeypatch.setattr(stage, "GROUPS_EACH", 2)
    assert group_size(tiny_config(episodes=9), workers=1) == 4
    collected(tmp_path / "groups", tiny_config(episodes=3))
    assert rows(collected(tmp_path / "groups", tiny_config(episodes=9))) == rows(alone)


@pytest.mark.parametrize(("episodes", "workers", "size"), [(1000, 2, 8), (1000, 8, 3), (100, 8, 1), (10**6, 1, 8)])
def test_groups_are_small_enough_to_share_and_to_send(episodes: int, workers: int, size: int) -> None:
    config = dataclasses.replace(Config(), collect=CollectConfig(episodes=episodes))
    assert group_size(config, workers) == size


def test_fewer_episodes_later_leave_the_collection_as_it_is(tmp_path: Path) -> None:
    before = rows(collected(tmp_path, tiny_config(episodes=6)))
    again = collected(tmp_path, tiny_config(episodes=2))
    assert rows(again) == before


@pytest.mark.parametrize("frames", [1, 40, 60])
def test_episodes_follow_until_there_are_frames_enough(tmp_path: Path, frames: int) -> None:
    run = collected(tmp_path / "a", config_with(collect={"frames": frames}))
    lengths = Rollouts(run.rollouts.folder / EPISODES).lengths
    assert len(lengths) >= 5
    assert lengths.sum() >= frames
    assert len(lengths) == 5 or lengths[:-1].sum() < frames
    more = collected(tmp_path / "a", config_with(collect={"frames": 80}))
    assert rows(more) == rows(collected(tmp_path / "b", config_with(collect={"frames": 80})))
    before = rows(more)
    assert rows(collected(tmp_path / "a", config_with(collect={"frames": 80, "episodes": 2}))) == before


def test_the_summary_is_of_all_episodes(tmp_path: Path) -> None:
    run = collected(tmp_path, tiny_config(episodes=6))
    rewards = [row["reward"] for row in rows(run)]
    summary = run.rollouts.summary()
    assert summary["frames"] == len(rewards)
    assert summary["mean_return"] == pytest.approx(sum(rewards) / 6, rel=1e-5)
    assert summary["squash"] == {"low": [-1], "high": [1], "clip": [False], "choices": []}


def test_a_recorded_episode_may_have_a_shorter_limit(tmp_path: Path) -> None:
    run = collected(tmp_path, config_with(collect={"max_steps": 2}))
    table = rows(run)
    assert max(row["step"] for row in table) == 1
    assert all(row["truncated"] or row["terminated"] for row in table if row["step"] == 1)


def test_the_same_seed_plays_the_same_episodes_and_another_seed_others(tmp_path: Path) -> None:
    one, two = collected(tmp_path / "a", tiny_config()), collected(tmp_path / "b", tiny_config())
    other = collected(tmp_path / "c", dataclasses.replace(tiny_config(), seed=6))
    assert rows(one) == rows(two)
    assert rows(one) != rows(other)


def test_an_episode_is_a_function_of_its_number() -> None:
    play = job_maker(tiny_config(), None)()
    seed = episode_seed(5, 7)
    (first,) = play([seed])
    _, again = play([episode_seed(5, 3), seed])
    assert np.array_equal(again.actions, first.actions)
    assert first.seed == seed
    assert first.seed in TRAINING


def test_one_process_computes_with_one_thread_as_workers_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watched(config: Config) -> PolicyMaker:
        make = policy_maker(config)

        def watched_make(squash: Squash, seed: int) -> ExploringPolicy:
            seen.append(torch.get_num_threads())
            return make(squash, seed)

        return watched_make

    monkeypatch.setattr(jobs, "policy_maker", watched)
    torch.set_num_threads(2)
    try:
        collected(tmp_path, tiny_config())
        assert set(seen) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_a_first_write_that_was_killed_does_not_stop_the_next_collection(tmp_path: Path) -> None:
    """Lance writes data files, then the manifest that names them: this is what a kill between the two leaves."""
    stray = to_table(job_maker(tiny_config(), None)()([episode_seed(5, 0)]), 0)
    lance.fragment.write_fragments(stray, str(tmp_path / "a" / "rollouts" / EPISODES), schema=schema(1))
    assert rows(collected(tmp_path / "a", tiny_config())) == rows(collected(tmp_path / "b", tiny_config()))


def test_a_damaged_collection_is_refused_rather_than_added_to(tmp_path: Path) -> None:
    run = collected(tmp_path, tiny_config(episodes=4))
    append_episodes(run.rollouts.folder / EPISODES, job_maker(tiny_config(), None)()([1]), 9)
    with pytest.raises(UserError, match="damaged"):
        collected(tmp_path, tiny_config(episodes=8))


def test_a_finished_collection_that_was_changed_is_refused_rather_than_added_to(tmp_path: Path) -> None:
    path = str(collected(tmp_path, tiny_config(episodes=4)).rollouts.folder / EPISODES)
    table = lance.dataset(path).to_table()
    place = table.schema.names.index("reward")
    paid = pa.array(np.full(len(table), 9, np.float32))
    lance.write_dataset(table.set_column(place, table.schema.field(place), paid), path, mode="overwrite")
    with pytest.raises(UserError, match="its numbers are not those collected"):
        collected(tmp_path, tiny_config(episodes=8))


def test_one_version_of_the_data_set_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "FLUSH_ROWS", 10)
    data = collected(tmp_path, tiny_config()).rollouts.folder / EPISODES
    assert len(list(data.glob("data/*"))) > 1
    assert len(list(data.glob("_versions/*.manifest"))) == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"task": {"env": "Nowhere-v0"}}, "Nowhere-v0 cannot be made"),
        ({"task": {"explore_mean": (0.0, 1.0)}, "collect": {"policy": "correlated"}}, "explore_mean has 2 entries"),
        ({"task": {"squash": ("tanh", "tanh")}}, "names 2 outputs"),
        ({"collect": {"policy": "held", "hold": (5, 2)}}, "collect.hold is 5 to 2"),
    ],
)
def test_options_that_do_not_fit_the_game_are_refused_and_can_be_mended(
    tmp_path: Path, options: dict, why: str
) -> None:
    with pytest.raises(UserError, match=why):
        collected(tmp_path, config_with(**options))
    assert not (tmp_path / "rollouts" / EPISODES).exists()
    assert len(rows(collected(tmp_path, tiny_config()))) > 0


@pytest.mark.parametrize("policy", ["correlated", "uniform", "held", "random_agent"])
def test_every_policy_collects(tmp_path: Path, policy: str) -> None:
    config = config_with(collect=dataclasses.asdict(CollectConfig(policy=policy, episodes=3)))
    table = rows(collected(tmp_path, config))
    actions = np.array([row["action"][0] for row in table])
    assert np.abs(actions).max() <= 1
    assert len(set(actions)) > 1


def test_what_was_collected_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = collected(tmp_path, tiny_config(episodes=6))
    said = capfd.readouterr().err
    size = sum(file.stat().st_size for file in (run.rollouts.folder / EPISODES).rglob("*") if file.is_file())
    assert f"Rollouts: 6 episodes, {run.rollouts.summary()['frames']} frames, " in said
    assert "frames/s" in said
    assert f"{size / 1e6:.1f} MB on disk" in said


def test_a_random_agents_networks_are_part_of_what_is_recorded(tmp_path: Path) -> None:
    config = config_with(collect={"policy": "random_agent", "episodes": 2})
    collected(tmp_path, config)
    wider = dataclasses.replace(config, memory=dataclasses.replace(config.memory, hidden=9))
    with pytest.raises(UserError, match=r"memory\.hidden = 8, and 9"):
        collected(tmp_path, wider)
