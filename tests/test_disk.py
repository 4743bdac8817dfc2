import errno
import os
from collections import namedtuple
from pathlib import Path

import pytest
from torch import nn

from worldmodels.config import ComputeConfig
from worldmodels.disk import FAILED, SPARE, failed_write, require_space, size, training_bytes
from worldmodels.errors import UserError

Usage = namedtuple("Usage", "total used free")


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> list[Path]:
    asked: list[Path] = []
    monkeypatch.setattr("shutil.disk_usage", lambda place: asked.append(place) or Usage(0, 0, free))
    return asked


def test_enough_room_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_free(monkeypatch, 5_000_000 + SPARE)
    require_space(tmp_path, 5_000_000, "V", ComputeConfig())
    with pytest.raises(UserError, match="V needs about"):
        require_space(tmp_path, 5_000_001, "V", ComputeConfig())


def test_the_sentence_says_how_much_is_missing_where_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_free(monkeypatch, 1_000_000_000)
    with pytest.raises(UserError) as error:
        require_space(tmp_path, 3e9, "The collection", ComputeConfig())
    assert str(error.value) == (
        f"The collection needs about 3.0 GB in {tmp_path}, and the disk has 1.0 GB left: free 2.0 GB, then repeat the "
        "command, which goes on from what is saved, or try regardless with --compute.check-disk False."
    )


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_of_the_nearest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = with_free(monkeypatch, 10**12)
    require_space(tmp_path / "a" / "b", 1, "V", ComputeConfig())
    assert asked == [tmp_path]


def test_one_may_go_on_regardless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_free(monkeypatch, 0)
    require_space(tmp_path, 1e12, "V", ComputeConfig(check_disk=False))


@pytest.mark.parametrize("code", FAILED)
def test_a_failed_write_is_a_sentence_whoever_reports_it(code: int) -> None:
    sentence = f"cannot be written: {os.strerror(code)}"
    assert failed_write(OSError(code, "x", "/a/b")) == f"/a/b {sentence}"
    assert (
        failed_write(RuntimeError(f"LanceError(IO): (os error {code}), rust.rs:1")) == f"A file of the run {sentence}"
    )
    assert failed_write(OSError(f"I/O error: {os.strerror(code)}")) == f"A file of the run {sentence}"


def test_other_errors_are_no_failed_writes() -> None:
    assert failed_write(OSError(errno.EBADF, "x")) is None
    assert failed_write(ValueError("no such thing")) is None


def test_a_training_is_thought_to_take_eight_times_its_weights() -> None:
    assert training_bytes(nn.Linear(10, 10)) == 8 * 4 * 110


@pytest.mark.parametrize(("count", "text"), [(0, "0.0 kB"), (-5, "0.0 kB"), (1.5e6, "1.5 MB"), (2.5e12, "2,500.0 GB")])
def test_sizes_are_written_for_people(count: float, text: str) -> None:
    assert size(count) == text
