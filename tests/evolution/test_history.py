import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from worldmodels.errors import UserError
from worldmodels.evolution.history import Generation, History, Standing, checksum, read_history, standing


def generation(number: int, validation: list[float] | None = None) -> Generation:
    return Generation(number, [0.1 * number, -1 / 3], 123 + number, 50, 0.5, 0.1, validation)


def written(folder: Path, count: int = 3) -> Path:
    with History(folder) as history:
        for number in range(count):
            history.append(generation(number, [1.0, 2.0] if number % 2 else None))
    return folder / "history.jsonl"


def test_generations_come_back_exactly(tmp_path: Path) -> None:
    written(tmp_path)
    assert read_history(tmp_path) == [generation(0), generation(1, [1.0, 2.0]), generation(2)]
    assert read_history(tmp_path / "none") == []


def test_a_history_goes_on_where_it_ended(tmp_path: Path) -> None:
    written(tmp_path)
    with History(tmp_path) as history:
        assert len(history.generations) == 3
        history.append(generation(3))
    assert [entry.generation for entry in read_history(tmp_path)] == [0, 1, 2, 3]


@pytest.mark.parametrize("torn", [1, 10, 60])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: int) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-torn])
    assert len(read_history(tmp_path)) == 2
    with History(tmp_path) as history:
        history.append(generation(2))
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("before", "after"),
    [('"steps": 50', '"steps": 51'), ("0.1,", "0.2,"), ('"crc32"', '"crc33"'), ('sigma"', 'sigmb"')],
)
def test_a_changed_line_is_refused(tmp_path: Path, before: str, after: str) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(UserError, match="is damaged in line"):
        read_history(tmp_path)


def test_a_history_without_checksums_goes_on(tmp_path: Path) -> None:
    known = {name: value for name, value in generation(0).__dict__.items() if name not in ("rollouts", "kept")}
    old = json.dumps(known) + "\n"
    (tmp_path / "history.jsonl").write_text(old)
    with History(tmp_path) as history:
        history.append(generation(1))
    assert read_history(tmp_path) == [generation(0), generation(1)]
    assert (tmp_path / "history.jsonl").read_text().startswith(old)


def test_an_unfinished_line_is_dropped_even_if_it_reads_well(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text() + json.dumps(generation(3).__dict__))
    assert len(read_history(tmp_path)) == 3


@pytest.mark.parametrize("line", ["{", "[1]", "", '{"generation": 1}', "7", "\x00\x00"])
def test_a_damaged_middle_is_refused(tmp_path: Path, line: str) -> None:
    path = written(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, *lines[2:]]) + "\n")
    with pytest.raises(UserError, match="damaged in line 2"):
        read_history(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"fitness", b"f\xff\xfeness", 1))
    with pytest.raises(UserError, match="damaged"):
        read_history(tmp_path)


def test_a_missing_generation_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(UserError, match="lacks generation 1"):
        read_history(tmp_path)


def test_a_checksum_tells_candidates_apart() -> None:
    candidates = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert checksum(candidates) == checksum(np.asfortranarray(candidates))
    assert checksum(candidates) != checksum(np.nextafter(candidates, 9))


@pytest.mark.parametrize(
    ("scores", "stale"),
    [([], 0), ([None, None], 0), ([3, None], 0), ([3, 2, None, 1], 2), ([1, 2, 5, 4, 6], 0), ([2, 2], 1)],
)
def test_stale_validations_are_those_since_the_best(scores: list[float | None], stale: int) -> None:
    history = [generation(i, None if score is None else [score - 1, score + 1]) for i, score in enumerate(scores)]
    assert standing(history).stale == stale


def test_the_last_validated_may_count_as_the_best() -> None:
    history = [generation(0, [4.0]), generation(1, [2.0]), generation(2), generation(3, [3.0]), generation(4)]
    assert standing(history, keeps_last=True) == Standing(3.0, 1, generation=3, stale=0, keeps_last=True)


def played_again(number: int, score: float, episodes: int, kept: float | None = None) -> Generation:
    again = None if kept is None else [kept] * episodes
    return dataclasses.replace(generation(number, [score] * episodes), kept=again)


def test_a_standing_counts_what_was_kept_by_its_score_over_as_many_episodes_as_the_others() -> None:
    now = standing([played_again(0, 5, 2), played_again(1, 9, 2), played_again(2, 8, 2)])
    assert now == Standing(score=9, episodes=2, generation=1, stale=1)
    assert not now.take(generation(3))
    assert not now.take(played_again(4, 3, 8, kept=4))
    assert now == Standing(score=4, episodes=8, generation=1, stale=2)
    assert now.take(played_again(5, 6, 8))
    assert now == Standing(score=6, episodes=8, generation=5, stale=0)
    assert now.take(played_again(6, 2, 4, kept=1))
    assert now == Standing(score=2, episodes=4, generation=6, stale=0)


def test_a_history_without_what_was_kept_compares_scores_as_they_are() -> None:
    now = standing([played_again(0, 9, 2), played_again(1, 5, 8)])
    assert now == Standing(score=9, episodes=2, generation=0, stale=1)
