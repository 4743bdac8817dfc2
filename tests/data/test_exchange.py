"""Episodes that were recorded elsewhere: what is taken over, what is refused, and that both ways lose nothing."""

import dataclasses
import errno
import io
import json
import os
import runpy
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from counting import SEED, shown_action, tiny_config

from worldmodels.collect import collect_rollouts
from worldmodels.data.exchange import export_rollouts, import_rollouts, npz, stage
from worldmodels.data.exchange.npz import read_npz
from worldmodels.data.exchange.recording import NO_SEED, action_vectors
from worldmodels.data.rollouts import EPISODES, Rollouts
from worldmodels.envs.actions import squash_for
from worldmodels.envs.frames import to_task_frame
from worldmodels.errors import UserError
from worldmodels.files import read_json, write_json
from worldmodels.memory.train import train_memory
from worldmodels.options import write_yaml
from worldmodels.runs import Run
from worldmodels.vision.train import train_vision

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LENGTHS = [3, 1, 4]


def picture(number: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def arrays(number: int, steps: int, size: tuple[int, ...] = (64, 64, 3), **changes: Any) -> dict[str, Any]:
    """What an .npz file of the counting game may hold; a change to None leaves the entry out."""
    random = np.random.default_rng(number)
    whole = {
        "frames": picture(number, steps, *size),
        "actions": random.uniform(-1, 1, (steps, 1)).astype(np.float32),
        "rewards": random.standard_normal(steps).astype(np.float32),
        "terminated": number % 2 == 0,
        "truncated": number % 2 == 1,
        "seed": 1000 + number,
    }
    return {key: value for key, value in (whole | changes).items() if value is not None}


def folder_of(path: Path, *episodes: dict[str, Any]) -> Path:
    """A folder with an .npz file an episode."""
    path.mkdir()
    for number, episode in enumerate(episodes):
        np.savez_compressed(path / f"{number:03}.npz", **episode)
    return path


def run_with(path: Path, **task: Any) -> Run:
    config = tiny_config()
    return Run(path, dataclasses.replace(config, task=dataclasses.replace(config.task, **task)))


def rollouts_of(run: Run) -> Rollouts:
    return Rollouts(run.rollouts.folder / EPISODES)


def columns(run: Run) -> dict[str, list]:
    """Everything in a run's rollouts."""
    return rollouts_of(run).data.to_table().to_pydict()


def refusal(run: Run, **source: Any) -> str:
    """The sentence with which an import is refused; it leaves no trace."""
    before = sorted(run.folder.rglob("*"))
    with pytest.raises(UserError) as error:
        import_rollouts(run, **source)
    assert sorted(run.folder.rglob("*")) == before
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "three", *(arrays(number, steps) for number, steps in enumerate(LENGTHS)))


def test_npz_episodes_become_a_finished_stage(three: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", tiny_config())
    import_rollouts(run, npz=three)
    files = [np.load(file) for file in sorted(three.iterdir())]
    rollouts, table = rollouts_of(run), columns(run)
    assert rollouts.lengths.tolist() == LENGTHS
    assert np.array_equal(rollouts.frames(slice(0, 8)), np.concatenate([file["frames"] for file in files]))
    assert np.array_equal(table["action"], np.concatenate([file["actions"] for file in files]))
    assert table["reward"] == [number for file in files for number in file["rewards"].tolist()]
    assert np.flatnonzero(table["terminated"]).tolist() == [2, 7]
    assert np.flatnonzero(table["truncated"]).tolist() == [3]
    assert table["seed"] == [1000] * 3 + [1001] + [1002] * 4
    summary = run.rollouts.summary()
    assert (summary["episodes"], summary["frames"]) == (3, 8)
    assert summary["mean_return"] == pytest.approx(sum(table["reward"]) / 3, rel=1e-5)
    assert summary["squash"] == {"low": [-1], "high": [1], "clip": [False], "choices": []}
    assert sorted(p.name for p in run.rollouts.folder.iterdir()) == [
        ".lock",
        "clock.json",
        "done.json",
        EPISODES,
        "options.json",
    ]


def test_an_imported_run_is_what_a_collected_one_is(tiny_run: Run, tmp_path: Path) -> None:
    """The same episodes, collected and imported: every column and the summary agree, and V and M learn from them."""
    rollouts, table = rollouts_of(tiny_run), columns(tiny_run)
    episodes = []
    for start, end in zip(rollouts.starts, rollouts.starts[1:], strict=False):
        rows = slice(int(start), int(end))
        episode = {"observations": rollouts.frames(rows), "actions": np.float64(table["action"][rows])}
        episode |= {"rewards": np.float64(table["reward"][rows]), "seed": np.array([table["seed"][start]])}
        episodes.append(episode | {"terminated": table["terminated"][rows], "truncated": table["truncated"][rows]})
    run = Run(tmp_path / "run", tiny_config())
    import_rollouts(run, npz=folder_of(tmp_path / "npz", *episodes))
    assert columns(run) == table
    assert run.rollouts.summary() == tiny_run.rollouts.summary()
    train_vision(run)
    train_memory(run)
    assert run.memory.summary().keys() == tiny_run.memory.summary().keys()


def test_a_frame_stays_beside_the_action_that_was_taken_on_it(tiny_run: Run, tmp_path: Path) -> None:
    """With the final observation, as Gymnasium loops record it: the counting game shows whether anything slipped."""
    game = gym.make("counting:Counting-v0")
    frames, actions, rewards, over = [game.reset(seed=7)[0]], [], [], False
    while not over:
        actions.append(np.array([len(actions) / 10], np.float32))
        frame, reward, terminated, truncated, _ = game.step(actions[-1])
        frames.append(frame)
        rewards.append(reward)
        over = terminated or truncated
    recorded = {"frames": np.stack(frames), "actions": np.stack(actions), "rewards": rewards, "dones": terminated}
    run = Run(tmp_path / "run", tiny_config())
    import_rollouts(run, npz=folder_of(tmp_path / "npz", recorded))
    shown = rollouts_of(run).frames(slice(0, len(rewards)))[:, 0]
    assert shown[:, 0, 0].tolist() == list(range(len(rewards)))
    assert shown[1:, 1, 0].tolist() == [shown_action(float(action[0])) for action in actions[:-1]]
    assert (shown[:, SEED, 0] == [7, 0, 0]).all()
    assert columns(run)["seed"][0] == NO_SEED
    assert columns(run)["truncated"][-1]  # dones are all false: it was cut off


@pytest.mark.parametrize("size", [(96, 80, 3), (70, 70, 1), (70, 70)])
def test_other_frames_are_cropped_and_resized_like_the_games_own(tmp_path: Path, size: tuple[int, ...]) -> None:
    run = run_with(tmp_path / "run", crop=(0, 60, 8, 70))
    episode = arrays(1, 2, size)
    import_rollouts(run, npz=folder_of(tmp_path / "npz", episode))
    expected = [to_task_frame(frame, (0, 60, 8, 70)) for frame in episode["frames"]]
    assert np.array_equal(rollouts_of(run).frames(slice(0, 2)), expected)


def test_frames_that_are_ready_are_not_cropped(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", crop=(0, 60, 8, 70))
    episode = arrays(1, 2)
    import_rollouts(run, npz=folder_of(tmp_path / "npz", episode))
    assert np.array_equal(rollouts_of(run).frames(slice(0, 2)), episode["frames"])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"frames": None}, "lacks `frames` or `observations`"),
    ({"observations": picture(1, 3, 64, 64, 3)}, "either `frames` or `observations`, not both"),
    ({"actions": None}, "lacks `actions`"),
    ({"rewards": None}, "lacks `rewards`"),
    ({"terminated": None, "truncated": None}, "lacks `terminated` and `truncated`"),
    ({"dones": True}, "either `terminated` or `dones`"),
    ({"frames": np.zeros((3, 64, 64, 3), np.float32)}, r"float32 \(3, 64, 64, 3\), but should be uint8"),
    ({"frames": picture(1, 3, 64, 64, 4)}, "height, width, 1 or 3"),
    ({"frames": picture(1, 3, 64)}, "height, width, 1 or 3"),
    ({"frames": picture(1, 3, 0, 64, 3)}, "are 0x64x3, but those of .*000.npz are 64x64x3"),
    ({"frames": picture(1, 3, 65, 64, 3)}, "are 65x64x3, but those of .*000.npz are 64x64x3"),
    ({"frames": picture(1, 5, 64, 64, 3)}, "5 frames and 3 rewards"),
    ({"frames": picture(1, 2, 64, 64, 3)}, "2 frames and 3 rewards"),
    ({"actions": np.zeros((4, 1))}, r"\(4, 1\), but should be numbers \(3, 1\)"),
    ({"actions": np.zeros((3, 2))}, r"\(3, 2\), but should be numbers \(3, 1\)"),
    ({"actions": np.array(["a", "b", "c"])}, "should be numbers"),
    ({"actions": np.array([[0], [np.nan], [0]])}, "actions are not finite at step 1"),
    ({"actions": np.array([[0], [1.01], [0]])}, "action 0 reaches from 0 to 1.01, but the game's from -1 to 1"),
    ({"rewards": np.zeros((3, 1))}, "one number a step"),
    ({"rewards": np.array([0, 0, np.inf])}, "rewards are not finite at step 2"),
    ({"rewards": np.array([1e300, 0, 0])}, "rewards are not finite at step 0"),
    ({"rewards": np.zeros(0)}, "is empty"),
    ({"terminated": [False, True, False]}, "`terminated` is true at step 1 of 0 to 2"),
    ({"truncated": [False, True]}, "`truncated` is bool"),
    ({"truncated": 2}, "should be true or false"),
    ({"seed": 1.5}, "seed is no number"),
    ({"seed": -7}, "seed is no number"),
    ({"seed": np.array([None])}, "holds Python objects"),
]


@pytest.mark.parametrize(("changes", "why"), WRONG)
def test_a_wrong_file_is_named_and_nothing_is_written(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    folder = folder_of(tmp_path / "npz", arrays(0, 2), arrays(1, 3, **changes))
    run = Run(tmp_path / "run", tiny_config())
    sentence = refusal(run, npz=folder)
    assert sentence.startswith(str(folder / "001.npz"))
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(sentence)
    np.savez_compressed(folder / "001.npz", **arrays(1, 3))  # mended, it is taken
    import_rollouts(run, npz=folder)
    assert len(rollouts_of(run)) == 2


def test_a_crop_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    small = folder_of(tmp_path / "small", arrays(0, 2, (80, 80, 3)))
    assert "does not fit its frames of 80x80x3" in refusal(run_with(tmp_path / "run", crop=(0, 81, 0, 80)), npz=small)
    assert "keeps nothing" in refusal(run_with(tmp_path / "run", crop=(9, 9, 0, 80)), npz=small)


def test_a_folder_without_episodes_and_a_game_that_cannot_be_made_are_refused(three: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", tiny_config())
    (tmp_path / "empty" / "folder.npz").mkdir(parents=True)
    assert "holds no .npz files" in refusal(run, npz=tmp_path / "empty")
    assert "is no folder" in refusal(run, npz=tmp_path / "none")
    assert "Nowhere-v0 cannot be made" in refusal(run_with(tmp_path / "run", env="Nowhere-v0"), npz=three)
    assert "either --npz FOLDER or --minari DATASET" in refusal(run)
    assert "either --npz FOLDER or --minari DATASET" in refusal(run, npz=three, minari="a-v0")


def test_a_name_behind_which_there_is_no_file_is_not_passed_over(three: Path, tmp_path: Path) -> None:
    (three / "003.npz").symlink_to(tmp_path / "none.npz")
    assert "003.npz cannot be read: No such file" in refusal(Run(tmp_path / "run", tiny_config()), npz=three)
    (three / "003.npz").unlink()
    os.mkfifo(three / "003.npz")
    assert "003.npz cannot be read: it is no file" in refusal(Run(tmp_path / "run", tiny_config()), npz=three)


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": descr, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (header((10**15,)), zipfile.ZIP_DEFLATED),
        (header((-1, 5)), zipfile.ZIP_DEFLATED),
        (header((2,), "|O") + bytes(16), zipfile.ZIP_DEFLATED),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff", zipfile.ZIP_DEFLATED),
        (b"\x93NUMPY\x01\x00\xff\xff", zipfile.ZIP_DEFLATED),
        (b"", zipfile.ZIP_STORED),
        (header((4,)) + bytes(4), zipfile.ZIP_BZIP2),
    ],
)
def test_hostile_arrays_are_refused_unread(tmp_path: Path, content: bytes, how: int) -> None:
    folder = folder_of(tmp_path / "npz", arrays(0, 2))
    with zipfile.ZipFile(folder / "000.npz", "a", how) as archive:
        archive.writestr("observations.npy", content)
    assert "000.npz cannot be read" in refusal(Run(tmp_path / "run", tiny_config()), npz=folder)


def test_an_episode_that_claims_to_be_huge_is_refused(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "MAX_BYTES", 10_000)
    with pytest.raises(ValueError, match=r"more than the 10,000 that an episode may have"):
        read_npz(three / "000.npz")


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:500], lambda whole: b"no zip" * 99])
def test_a_damaged_file_is_refused(three: Path, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    file = three / "001.npz"
    file.write_bytes(damage(file.read_bytes()))
    assert refusal(Run(tmp_path / "run", tiny_config()), npz=three).startswith(f"{file} cannot be read")


def test_flipped_bytes_never_end_in_anything_but_a_sentence(three: Path, tmp_path: Path) -> None:
    file = three / "001.npz"
    whole, random = file.read_bytes(), np.random.default_rng(1)
    reader = npz.NpzFolder(three, tiny_config().task)
    for _ in range(200):
        content = bytearray(whole)
        for place in random.integers(0, len(content), 8):
            content[place] ^= int(random.integers(1, 256))
        file.write_bytes(content)
        try:
            stage.Episodes(reader, None).check(1)
        except UserError as error:
            assert str(file) in str(error)  # noqa: PT017  # flips in padding may go unnoticed


def test_importing_again_does_nothing_and_anything_else_is_refused(three: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", tiny_config())
    import_rollouts(run, npz=three)
    before = run.rollouts.done
    import_rollouts(run, npz=three)
    assert run.rollouts.done == before
    with pytest.raises(UserError, match="holds episodes that were imported: collect into a new --run"):
        collect_rollouts(run)
    other = folder_of(tmp_path / "other", arrays(9, 2))
    with pytest.raises(UserError, match=r"was made with import\.digest = \w+, and \w+ is asked for"):
        import_rollouts(run, npz=other)
    assert run.rollouts.done == before


def test_a_run_that_was_collected_cannot_be_imported_into(tiny_run: Run, three: Path) -> None:
    with pytest.raises(UserError, match="holds rollouts that were collected: import into a new --run"):
        import_rollouts(tiny_run, npz=three)


@pytest.mark.parametrize("at", [2, 3])
def test_an_import_that_breaks_off_leaves_no_data_set(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    run, written = Run(tmp_path / "run", tiny_config()), []

    def breaking(path: Path, episodes: list, first: int) -> None:
        written.append(first)
        if len(written) == at:
            raise KeyboardInterrupt
        append(path, episodes, first)

    append = stage.append_episodes
    monkeypatch.setattr(stage, "append_episodes", breaking)
    monkeypatch.setattr(stage, "FLUSH_ROWS", 1)
    with pytest.raises(KeyboardInterrupt):
        import_rollouts(run, npz=three)
    assert not list(run.rollouts.folder.glob("*.lance"))
    assert run.rollouts.done is None
    import_rollouts(run, npz=three)
    assert rollouts_of(run).lengths.tolist() == LENGTHS


def test_an_import_that_was_killed_is_done_again(three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill runs no `finally`: neither what it leaves before the data set has its name, nor after, is in the way."""
    run = Run(tmp_path / "run", tiny_config())
    import_rollouts(run, npz=three)
    whole = columns(run)
    run.rollouts.reopen()  # killed just before it was finished
    import_rollouts(run, npz=three)
    assert columns(run) == whole
    run.rollouts.reopen()
    (run.rollouts.folder / EPISODES).rename(run.rollouts.folder / stage.UNFINISHED)  # killed while it wrote
    import_rollouts(run, npz=three)
    assert columns(run) == whole
    assert not (run.rollouts.folder / stage.UNFINISHED).exists()


@pytest.mark.parametrize(
    ("space", "actions", "expected"),
    [
        (gym.spaces.Discrete(3), [2, 0], [[0, 0, 1], [1, 0, 0]]),
        (gym.spaces.Discrete(3), [[2], [0]], [[0, 0, 1], [1, 0, 0]]),
        (gym.spaces.Discrete(3, start=-1), [1, -1], [[0, 0, 1], [1, 0, 0]]),
        (gym.spaces.MultiDiscrete([2, 3]), [[1, 2], [0, 1]], [[0, 1, 0, 0, 1], [1, 0, 0, 1, 0]]),
        (gym.spaces.MultiDiscrete([[2], [3]]), [[[1], [2]], [[0], [1]]], [[0, 1, 0, 0, 1], [1, 0, 0, 1, 0]]),
        (gym.spaces.Box(0, 5, (2,)), [[0, 5], [1, 2]], [[0, 5], [1, 2]]),
    ],
)
def test_actions_become_vectors(space: gym.Space, actions: list, expected: list) -> None:
    vectors = action_vectors(np.array(actions), 2, squash_for(space), space)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == expected


@pytest.mark.parametrize("actions", [[3, 0], [-1, 0], [0.0, 1.0], [[0, 1], [1, 0]], [0], 1, [2**64 - 1, 0]])
def test_choices_that_the_game_does_not_have_are_refused(actions: Any) -> None:
    space = gym.spaces.Discrete(3)
    with pytest.raises(ValueError, match="its actions"):
        action_vectors(np.array(actions), 2, squash_for(space), space)


def test_of_choices_that_are_refused_it_is_said_where_they_begin() -> None:
    space = gym.spaces.Discrete(3, start=5)
    with pytest.raises(ValueError, match=r"from 0 to 2, but the game has choices of \(3,\), which begin at \(5,\)"):
        action_vectors(np.array([0, 2]), 2, squash_for(space), space)


# Minari


@pytest.fixture(autouse=True)
def _minari_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Minari keeps its data sets in the test's folder."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


IMAGE = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
SPACES = {
    "box": gym.spaces.Box(np.array([-1, 0], np.float32), np.array([1, 5], np.float32)),
    "discrete": gym.spaces.Discrete(4, start=2),
    "multi": gym.spaces.MultiDiscrete([2, 3]),
}


def minari_set(
    name: str, actions: gym.Space, observations: gym.Space = IMAGE, seeds: bool = True, **changes: Any
) -> list[dict]:
    """Make a data set with three episodes as Minari does it; returns what is in each."""
    import minari
    from minari.data_collector.episode_buffer import EpisodeBuffer

    observations.seed(1)
    actions.seed(2)
    episodes = []
    for number, steps in enumerate(LENGTHS):
        seen = [observations.sample() for _ in range(steps + 1)]
        frames: Any = np.stack(seen) if not isinstance(seen[0], dict) else {k: [s[k] for s in seen] for k in seen[0]}
        flags = np.arange(steps) == steps - 1
        episode = {
            "observations": frames,
            "actions": np.stack([actions.sample() for _ in range(steps)]),
            "rewards": np.random.default_rng(number).standard_normal(steps),
            "terminations": flags & (number % 2 == 0),
            "truncations": flags & (number % 2 == 1),
            "seed": 50 + number if seeds else None,
        }
        episodes.append(episode | changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that nobody is named as its author
        minari.create_dataset_from_buffers(
            name,
            [EpisodeBuffer(**episode) for episode in episodes],
            action_space=actions,
            observation_space=observations,
            jpeg_encoding=False,
        )
    return episodes


@pytest.mark.parametrize("kind", SPACES)
def test_a_round_trip_through_minari_loses_nothing(tmp_path: Path, kind: str) -> None:
    episodes = minari_set("games/first-v0", SPACES[kind])
    one, two = run_with(tmp_path / "one"), run_with(tmp_path / "two")
    import_rollouts(one, minari="games/first-v0")
    frames = np.concatenate([episode["observations"][:-1] for episode in episodes])
    assert np.array_equal(rollouts_of(one).frames(slice(0, 8)), frames)
    assert columns(one)["seed"] == [50] * 3 + [51] + [52] * 4
    assert np.flatnonzero(columns(one)["terminated"]).tolist() == [2, 7]
    assert np.flatnonzero(columns(one)["truncated"]).tolist() == [3]
    assert columns(one)["reward"] == np.concatenate([e["rewards"] for e in episodes]).astype(np.float32).tolist()
    export_rollouts(one, "games/second-v3")
    import_rollouts(two, minari="games/second-v3")
    assert columns(two) == columns(one)
    assert two.rollouts.summary() == one.rollouts.summary()


@pytest.mark.parametrize("format", ["hdf5", "parquet", "arrow"])
def test_an_export_is_a_data_set_that_minari_reads(tiny_run: Run, tmp_path: Path, format: Any) -> None:
    import minari

    export_rollouts(tiny_run, "counting/rollouts-v0", format)
    assert list(minari.list_local_datasets()) == ["counting/rollouts-v0"]
    data, rollouts = minari.load_dataset("counting/rollouts-v0"), rollouts_of(tiny_run)
    assert (data.total_episodes, data.total_steps) == (len(rollouts), rollouts.starts[-1])
    assert data.observation_space == IMAGE
    assert data.action_space == gym.spaces.Box(-1, 1, (1,), np.float32)
    for number, episode in enumerate(data.iterate_episodes()):
        frames = rollouts.frames(slice(int(rollouts.starts[number]), int(rollouts.starts[number + 1])))
        assert np.array_equal(episode.observations, [*frames, frames[-1]])
        assert episode.observations.dtype == np.uint8
    back = Run(tmp_path / "back", tiny_config())
    import_rollouts(back, minari="counting/rollouts-v0")
    assert columns(back) == columns(tiny_run)


def test_unknown_seeds_stay_unknown(tmp_path: Path) -> None:
    minari_set("first-v0", SPACES["box"], seeds=False)
    one, two = run_with(tmp_path / "one"), run_with(tmp_path / "two")
    import_rollouts(one, minari="first-v0")
    assert set(columns(one)["seed"]) == {NO_SEED}
    export_rollouts(one, "second-v0")
    import_rollouts(two, minari="second-v0")
    assert columns(two) == columns(one)


def test_the_image_of_a_dict_is_picked_by_its_key(tmp_path: Path) -> None:
    space = gym.spaces.Dict({"eye": gym.spaces.Box(0, 255, (70, 80), np.uint8), "speed": gym.spaces.Box(0, 1, (1,))})
    episodes = minari_set("dict-v0", SPACES["box"], space)
    assert "observes a Dict with eye, speed" in refusal(run_with(tmp_path / "run"), minari="dict-v0")
    assert "is no image" in refusal(run_with(tmp_path / "run", image_key="speed"), minari="dict-v0")
    run = run_with(tmp_path / "run", image_key="eye")
    import_rollouts(run, minari="dict-v0")
    assert np.array_equal(rollouts_of(run).frames(slice(0, 1))[0], to_task_frame(episodes[0]["observations"]["eye"][0]))


def test_what_a_data_set_of_minari_lacks_is_named(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run")
    assert "There is no data set games/none-v0" in refusal(run, minari="games/none-v0")
    for name in ("no version", "none", "../x-v0", "/etc/x-v0", ""):
        assert "cannot be a Minari data set" in refusal(run, minari=name)
    minari_set("numbers-v0", SPACES["box"], gym.spaces.Box(0, 1, (4,)))
    assert "numbers-v0 observes Box" in refusal(run, minari="numbers-v0")
    minari_set("unbounded-v0", gym.spaces.Box(-np.inf, np.inf, (2,)))
    assert "unbounded-v0 cannot be imported, since the action space" in refusal(run, minari="unbounded-v0")
    squashed = run_with(tmp_path / "run", squash=("tanh",) * 3)
    minari_set("box-v0", SPACES["box"])
    assert "task.squash names 3 outputs" in refusal(squashed, minari="box-v0")
    minari_set("late-v0", SPACES["box"], rewards=[0.0, np.nan, 0.0])
    assert "Episode 0 of late-v0: its rewards are not finite at step 1: leave" in refusal(run, minari="late-v0")
    minari_set("long-v0", SPACES["box"], terminations=[True, False, False])
    assert "Episode 0 of long-v0: `terminated` is true at step 0" in refusal(run, minari="long-v0")


def test_a_damaged_data_set_is_refused(tmp_path: Path) -> None:
    run, data = run_with(tmp_path / "run"), tmp_path / "minari" / "first-v0" / "data"
    minari_set("first-v0", SPACES["box"])
    about, content = data / "metadata.json", (data / "main_data.hdf5").read_bytes()
    whole = read_json(about)
    for broken in ({}, whole | {"minari_version": "9"}, whole | {"data_format": "x"}, whole | {"action_space": "{}"}):
        write_json(about, broken)
        assert "first-v0 cannot be read" in refusal(run, minari="first-v0")
    write_json(about, whole | {"total_episodes": 0})
    assert "has no episodes" in refusal(run, minari="first-v0")
    write_json(about, whole | {"total_episodes": 4})
    assert "Episode 3 of first-v0 cannot be read" in refusal(run, minari="first-v0")
    write_json(about, whole)
    (data / "main_data.hdf5").write_bytes(content[: len(content) // 2])
    assert "Episode 0 of first-v0 cannot be read" in refusal(run, minari="first-v0")


def test_a_data_set_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari_set("first-v0", SPACES["box"])

    def forbidden(path: Path) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("worldmodels.data.exchange.recording.file_digest", forbidden)
    assert "main_data.hdf5 cannot be read: Permission denied" in refusal(run_with(tmp_path / "run"), minari="first-v0")


def test_a_data_set_that_would_have_a_game_made_to_be_read_is_refused(tmp_path: Path) -> None:
    """Without recorded spaces, Minari imports whatever module the data set names as its game."""
    minari_set("first-v0", SPACES["box"])
    about = tmp_path / "minari" / "first-v0" / "data" / "metadata.json"
    recorded = read_json(about)
    del recorded["action_space"]
    write_json(about, recorded | {"env_spec": json.dumps({"id": "antigravity:X-v0"})})
    assert "does not record its observation and action space" in refusal(run_with(tmp_path / "run"), minari="first-v0")


def test_an_export_never_takes_the_place_of_a_data_set_and_leaves_nothing_half(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "minari" / "counting"
    with pytest.raises(UserError, match="is missing"):
        export_rollouts(Run(tmp_path / "none", tiny_config()), "counting/x-v0")
    with pytest.raises(UserError, match="cannot be a Minari data set"):
        export_rollouts(tiny_run, "counting/x")
    with monkeypatch.context() as patch:
        patch.setattr(Rollouts, "frames", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            export_rollouts(tiny_run, "counting/x-v0")
    assert not list(folder.iterdir())
    (folder / ".x-v0.exporting").mkdir()  # a kill leaves it
    export_rollouts(tiny_run, "counting/x-v0")
    assert sorted(path.name for path in folder.iterdir()) == ["namespace_metadata.json", "x-v0"]
    with pytest.raises(UserError, match=r"There is a data set counting/x-v0 in .* another version"):
        export_rollouts(tiny_run, "counting/x-v0")


def test_without_minari_a_sentence_says_how_to_get_it(
    tiny_run: Run, three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "minari", None)
    assert "pip install 'minari[hdf5]'" in refusal(run_with(tmp_path / "run"), minari="own/data-v0")
    with pytest.raises(UserError, match="Minari is not installed"):
        export_rollouts(tiny_run, "own/data-v0")
    import_rollouts(run_with(tmp_path / "run"), npz=three)


def call(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    try:
        runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def test_the_scripts(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, again, options = tmp_path / "run", tmp_path / "again", tmp_path / "tiny.yaml"
    options.write_text(write_yaml(tiny_config()))
    assert call(monkeypatch, "import_rollouts", "--run", run, "--npz", three, "--config", options) == 0
    assert call(monkeypatch, "export_rollouts", "--run", run, "--dataset", "own/data-v0", "--format", "parquet") == 0
    assert "own/data-v0 is in" in capsys.readouterr().err
    assert call(monkeypatch, "import_rollouts", "--run", again, "--minari", "own/data-v0", "--config", options) == 0
    assert columns(Run(again, tiny_config())) == columns(Run(run, tiny_config()))
    assert call(monkeypatch, "import_rollouts", "--run", tmp_path / "x") == 2
    assert capsys.readouterr().err == "Name what to import: either --npz FOLDER or --minari DATASET.\n"
    assert call(monkeypatch, "export_rollouts", "--run", run) == 2


def test_an_import_stops_where_the_disk_is_too_full(tmp_path: Path, full_disk: None) -> None:
    source, run = folder_of(tmp_path / "npz", arrays(0, 3)), run_with(tmp_path / "run")
    with pytest.raises(UserError, match="The import needs about"):
        import_rollouts(run, npz=source)
    assert not list(run.rollouts.folder.glob("*.lance"))


def test_an_import_goes_on_regardless_as_its_refusal_says(
    tmp_path: Path, full_disk: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, options = folder_of(tmp_path / "npz", arrays(0, 3)), tmp_path / "tiny.yaml"
    options.write_text(write_yaml(tiny_config()))
    command = ("import_rollouts", "--run", tmp_path / "run", "--npz", source, "--config", options)
    assert call(monkeypatch, *command) == 2
    assert "--compute.check-disk False" in capsys.readouterr().err
    assert call(monkeypatch, *command, "--compute.check-disk", "False") == 0
