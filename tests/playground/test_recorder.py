"""Recordings as files."""

import contextlib
import io
import os
import tempfile

import av
import numpy as np
import pytest
from PIL import Image

from worldmodels.errors import UserError
from worldmodels.janitor import PREFIX
from worldmodels.playground import recorder
from worldmodels.playground.recorder import MAX_SECONDS, SCALE, Recorder

FRAME = np.full((64, 64, 3), 100, np.uint8)


@pytest.mark.parametrize("panes", [1, 2])
def test_files_have_length_rate_and_size(panes):
    recorder = Recorder(25.0, panes)
    for step in range(30):
        recorder.add([FRAME + step, FRAME][: 1 + step % 2], f"step {step}", "temperature 1")
    assert recorder.seconds == 30 / 25
    files = recorder.files()
    with av.open(io.BytesIO(files.mp4)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert stream.average_rate == 25
    assert len(frames) == 30
    height, width = frames[0].shape[:2]
    assert width == panes * 64 * SCALE + 4 * (panes - 1)
    assert height > 64 * SCALE
    middle = (height // 2, 32 * SCALE)
    assert [int(frames[step][middle][0]) for step in (0, 29)] == pytest.approx([100, 129], abs=4)
    with Image.open(io.BytesIO(files.gif)) as gif:
        assert gif.n_frames == 10
        assert gif.width <= 640


@pytest.mark.parametrize("fails", [False, True])
def test_files_are_made_where_a_killed_process_leaves_nothing(tmp_path, monkeypatch, fails):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def write(path, *_, gif):
        seen.append(path.parent.name)
        if fails:
            raise UserError("No film.")
        path.write_bytes(b"mp4")
        path.with_suffix(".gif").write_bytes(b"gif")

    monkeypatch.setattr(recorder, "write_video", write)
    with pytest.raises(UserError) if fails else contextlib.nullcontext():
        assert Recorder(25.0, 1).files() == (b"gif", b"mp4")
    assert seen[0].startswith(f"{PREFIX}film-{os.getpid()}-")
    assert not list(tmp_path.iterdir())


def test_a_recording_is_bounded():
    recorder = Recorder(2.0, 1)
    while not recorder.full:
        recorder.add([FRAME], "", "")
    assert recorder.seconds == MAX_SECONDS


def test_nothing_recorded_is_refused():
    with pytest.raises(UserError):
        Recorder(25.0, 1).files()
