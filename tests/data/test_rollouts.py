import contextlib
import shutil
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.data.episode import Episode
from worldmodels.data.planes import FrameCompressor
from worldmodels.data.rollouts import (
    Rollouts,
    append_episodes,
    forget_versions,
    rows_of,
    schema,
    split_episodes,
    summarise,
    to_table,
)
from worldmodels.envs.actions import Squash
from worldmodels.errors import UserError

LENGTHS = [3, 1, 4, 2]
COMPRESS = FrameCompressor()


def picture(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def episode(number: int, length: int, actions: int = 2) -> Episode:
    random = np.random.default_rng(100 + number)
    return Episode(
        seed=2**40 + number,
        frames=[COMPRESS(picture(10 * number + step)) for step in range(length)],
        actions=random.standard_normal((length, actions)).astype(np.float32),
        rewards=random.standard_normal(length).astype(np.float32),
        terminated=number % 2 == 0,
        truncated=number % 2 == 1,
    )


EPISODES = [episode(number, length) for number, length in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four episodes, appended in two batches."""
    path = tmp_path_factory.mktemp("rollouts") / "episodes.lance"
    append_episodes(path, EPISODES[:3], 0)
    append_episodes(path, EPISODES[3:], 3)
    return path


@pytest.fixture(scope="module")
def rollouts(folder: Path) -> Rollouts:
    return Rollouts(folder)


def test_episodes_come_back_in_order(rollouts: Rollouts) -> None:
    assert len(rollouts) == 4
    assert rollouts.lengths.tolist() == LENGTHS
    assert rollouts.starts.tolist() == [0, 3, 4, 8, 10]
    assert rollouts.action_dim == 2
    steps = rollouts.steps(slice(0, 10))
    assert np.array_equal(steps["action"], np.concatenate([e.actions for e in EPISODES]))
    assert np.array_equal(steps["reward"], np.concatenate([e.rewards for e in EPISODES]))
    assert np.flatnonzero(steps["terminated"]).tolist() == [2, 7]
    assert rollouts.episode_returns() == pytest.approx([e.rewards.astype(float).sum() for e in EPISODES])


def test_every_column_comes_back(rollouts: Rollouts) -> None:
    table = rollouts.data.to_table().to_pydict()
    assert table["episode"] == [0, 0, 0, 1, 2, 2, 2, 2, 3, 3]
    assert table["step"] == [0, 1, 2, 0, 0, 1, 2, 3, 0, 1]
    assert table["seed"] == [2**40 + e for e in table["episode"]]
    assert np.flatnonzero(table["truncated"]).tolist() == [3, 9]


def test_frames_come_in_the_order_asked_for_with_repeats(rollouts: Rollouts) -> None:
    every = np.stack([picture(10 * e + step) for e, length in enumerate(LENGTHS) for step in range(length)])
    asked = np.array([9, 0, 9, 3, 5, 5, 2])
    assert np.array_equal(rollouts.frames(asked), every[asked])
    assert np.array_equal(rollouts.frames(slice(2, 7)), every[2:7])
    assert rollouts.frames(np.array([], np.int64)).shape == (0, 64, 64, 3)


def test_slices_of_steps_agree_with_the_whole(rollouts: Rollouts) -> None:
    whole = rollouts.steps(slice(0, 10))
    for name, part in rollouts.steps(slice(3, 9)).items():
        assert np.array_equal(part, whole[name][3:9])


def test_chunks_cover_what_is_left(rollouts: Rollouts) -> None:
    assert list(rollouts.chunks(4)) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert list(rollouts.chunks(4, first=8)) == [slice(8, 10)]
    assert list(rollouts.chunks(4, first=10)) == []


@given(st.integers(2, 500), st.floats(5e-324, 0.99))
def test_a_split_puts_every_episode_on_one_side(count: int, fraction: float) -> None:
    training, validation = split_episodes(count, fraction)
    assert sorted([*training, *validation]) == list(range(count))
    assert len(training) > 0
    assert len(validation) > 0


def test_a_split_holds_out_the_asked_share_evenly() -> None:
    _, validation = split_episodes(1000, 0.1)
    assert validation.tolist() == list(range(9, 1000, 10))


@pytest.mark.parametrize("count", [0, 1])
def test_one_episode_cannot_be_split(count: int) -> None:
    with pytest.raises(UserError, match=f"{count} episodes are too few"):
        split_episodes(count, 0.1)


def test_rows_of_episodes() -> None:
    assert rows_of(np.array([0, 3, 4, 8]), np.array([2, 0])).tolist() == [4, 5, 6, 7, 0, 1, 2]


def test_summary_of_rollouts(folder: Path) -> None:
    summary = summarise(Rollouts(folder), Squash((-1.0,), (1.0,), clip=(False,)))
    assert (summary["episodes"], summary["frames"]) == (4, 10)
    assert summary["mean_return"] == pytest.approx(np.mean([e.rewards.astype(float).sum() for e in EPISODES]))
    assert summary["squash"] == {"low": (-1.0,), "high": (1.0,), "clip": (False,), "choices": ()}


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        Rollouts(path)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["mine:2", "a b", "50%20#?"])
def test_a_folder_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """To Lance, a relative path with a colon is a URL: `file:mine` would be `/mine`."""
    monkeypatch.chdir(tmp_path)
    path = Path(name) / "episodes.lance"
    append_episodes(path, EPISODES[:1], 0)
    append_episodes(path, EPISODES[1:], 1)
    assert path.is_dir()
    assert Rollouts(path).lengths.tolist() == LENGTHS


def test_what_earlier_versions_have_left_is_removed(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "x.lance"
    shutil.copytree(folder, copy)
    assert len(list(copy.glob("_versions/*.manifest"))) == 2
    forget_versions(copy)
    assert len(list(copy.glob("_versions/*.manifest"))) == 1
    assert Rollouts(copy).digest() == Rollouts(folder).digest()


def test_frames_of_more_than_an_array_holds_are_written_in_pieces(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worldmodels.data.rollouts.PIECE", 3)
    append_episodes(tmp_path / "x.lance", EPISODES, 0)
    assert to_table(EPISODES, 0)["planes"].num_chunks == 4  # of 10 frames
    rows = np.arange(10)
    assert np.array_equal(Rollouts(tmp_path / "x.lance").frames(rows), Rollouts(folder).frames(rows))


def test_a_missing_empty_or_foreign_folder_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.lance"
    foreign.mkdir()
    assert "holds no rollouts" in refusal(tmp_path / "none.lance")
    assert "holds no rollouts" in refusal(foreign)
    (foreign / "notes.txt").write_text("hello")
    assert "holds no rollouts" in refusal(foreign)


@pytest.mark.parametrize("columns", [{"a": [1]}, {"action": [1.0]}, {"episode": [0], "step": [0], "action": [[1.0]]}])
def test_a_data_set_with_other_columns_is_refused(tmp_path: Path, columns: dict) -> None:
    lance.write_dataset(pa.table(columns), str(tmp_path / "x.lance"))
    assert "is no data set of rollouts" in refusal(tmp_path / "x.lance")


def test_a_data_set_without_rows_is_refused(tmp_path: Path) -> None:
    lance.write_dataset(schema(2).empty_table(), str(tmp_path / "x.lance"), schema=schema(2))
    assert "damaged" in refusal(tmp_path / "x.lance")


@pytest.mark.parametrize("rows", [[1, 2], [0, 2], [1, 0], [0, 1, 2, 4], [0, 1, 2, 5, 6, 7], [0, 1, 2, 0, 1, 2]])
def test_episodes_that_are_not_whole_and_in_order_are_refused(tmp_path: Path, rows: list[int]) -> None:
    table = to_table(EPISODES, 0).take(rows)
    lance.write_dataset(table, str(tmp_path / "x.lance"))
    assert "damaged" in refusal(tmp_path / "x.lance")


WHOLE = COMPRESS(picture(0))
DAMAGED = [
    b"",
    b"no zstd",
    WHOLE[:-5],
    WHOLE + b"x",
    *(zstandard.compress(bytes(n)) for n in (1, 12_287, 12_289, 10**8)),
]


@pytest.mark.parametrize("blob", DAMAGED, ids=len)
def test_a_damaged_frame_is_refused(tmp_path: Path, blob: bytes) -> None:
    damaged = Episode(
        1, [EPISODES[1].frames[0], blob], np.zeros((2, 1), np.float32), np.zeros(2, np.float32), True, False
    )
    append_episodes(tmp_path / "x.lance", [damaged], 0)
    with pytest.raises(UserError, match="damaged frame"):
        Rollouts(tmp_path / "x.lance").frames(np.array([0, 1]))


def damage(path: Path) -> None:
    """Overwrite the middle of a file."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = b"\xa5" * 64
    path.write_bytes(content)


def test_a_damaged_file_is_refused_when_it_is_opened_or_read(folder: Path, tmp_path: Path) -> None:
    for number, name in enumerate(sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())):
        copy = tmp_path / f"{number}.lance"
        shutil.copytree(folder, copy)
        damage(copy / name)
        with contextlib.suppress(UserError):  # what Lance does not need for reading may be damaged unnoticed
            rollouts = Rollouts(copy)
            rollouts.frames(np.arange(10))
            rollouts.steps(slice(0, 10))


@pytest.mark.parametrize("first", [0, 4])
def test_an_append_that_was_killed_leaves_a_readable_set(folder: Path, tmp_path: Path, first: int) -> None:
    """Lance writes data files, then the manifest that names them: this is what a kill between the two leaves."""
    copy = tmp_path / "x.lance"
    if first:
        shutil.copytree(folder, copy)
    lance.fragment.write_fragments(to_table([episode(9, 5)], first), str(copy), schema=schema(2))
    if first:
        assert len(Rollouts(copy)) == first
    append_episodes(copy, [episode(9, 5)], first)
    assert Rollouts(copy).lengths.tolist() == [*LENGTHS, 5][-first - 1 :]
