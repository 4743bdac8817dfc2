"""Frames become files that other programs read: size, length, pace and colour."""

import av
import numpy as np
import pytest
from PIL import Image

from worldmodels.errors import UserError
from worldmodels.render.video import gif_delays, write_video


def coloured(count: int, height: int = 51, width: int = 33):
    """Frames that turn from red to blue."""
    for number in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[..., 0], frame[..., 2] = 240 - 6 * number, 6 * number
        yield frame


def test_mp4_has_the_frames_at_their_pace(tmp_path):
    write_video(tmp_path / "v.mp4", coloured(35), fps=35)
    with av.open(str(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height, stream.pix_fmt) == (34, 52, "yuv420p")
        assert stream.average_rate == 35
        assert container.duration == pytest.approx(1e6, rel=0.02)
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(pictures) == 35
    for picture, frame in zip(pictures, coloured(35), strict=True):
        assert np.abs(picture[20, 10].astype(int) - frame[20, 10]).max() < 12
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_mp4_can_be_shown_while_it_loads(tmp_path):
    write_video(tmp_path / "v.mp4", coloured(5), fps=10)
    content = (tmp_path / "v.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(("fps", "every"), [(50.0, 5), (35.0, 4), (8.0, 1)])
def test_gif_keeps_the_pace_at_a_lower_rate(tmp_path, fps, every):
    write_video(tmp_path / "v.mp4", coloured(30), fps, gif=True)
    with Image.open(tmp_path / "v.gif") as gif:
        assert gif.info["loop"] == 0
        shown = []  # the colour in each hundredth of a second
        for number in range(gif.n_frames):
            gif.seek(number)
            assert gif.info["duration"] >= 60
            shown += [np.asarray(gif.convert("RGB"))[20, 10].astype(int)] * (gif.info["duration"] // 10)
    kept = [frame[20, 10].astype(int) for frame in coloured(30)][::every]
    assert len(shown) == round(100 * len(kept) * every / fps)
    for number, colour in enumerate(kept):
        assert np.abs(shown[round(100 * (number + 0.5) * every / fps)] - colour).max() < 12


@pytest.mark.parametrize("size", [(2, 16_386), (16_386, 2)])
def test_what_no_video_can_show_is_a_sentence(tmp_path, size):
    with pytest.raises(UserError, match=r"a video may have 16,384 on a side: lower render\.scale"):
        write_video(tmp_path / "v.mp4", coloured(2, *size), fps=10)
    assert list(tmp_path.iterdir()) == []


def test_the_gif_of_an_earlier_video_goes(tmp_path):
    write_video(tmp_path / "v.mp4", coloured(3), 10, gif=True)
    write_video(tmp_path / "v.mp4", coloured(3), 10)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_wide_gif_is_shrunk(tmp_path):
    write_video(tmp_path / "v.mp4", coloured(2, 90, 1000), 10, gif=True)
    with Image.open(tmp_path / "v.gif") as gif:
        assert gif.size == (500, 45)


@pytest.mark.parametrize("seconds", [1 / 35, 0.08, 4 / 35])
def test_delays_do_not_drift(seconds):
    delays = gif_delays(1000, seconds)
    assert sum(delays) == pytest.approx(100_000 * seconds, abs=1)
    assert max(delays) - min(delays) <= 1


def test_no_frame_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(UserError, match="no frame"):
        write_video(tmp_path / "v.mp4", iter([]), fps=10, gif=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [np.zeros((8, 8, 3)), np.zeros((8, 10, 3), np.uint8), np.zeros((8, 8), np.uint8)])
def test_wrong_frames_leave_the_old_video(tmp_path, wrong):
    (tmp_path / "v.mp4").write_text("old")
    with pytest.raises(ValueError, match="uint8"):
        write_video(tmp_path / "v.mp4", [np.zeros((8, 8, 3), np.uint8), wrong], fps=10, gif=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_gif_keeps_the_colour_of_small_things(tmp_path):
    rows, columns = np.ogrid[:120, :120]
    field = (rows + columns)[..., None] * (0.1, 0.2, 0.1) + (40, 60, 40)
    frames = [(field + 20 * np.sin(n + rows / 9)[..., None] * (0.3, 1, 0.6)).astype(np.uint8) for n in range(10)]
    for frame in frames:
        frame[50:54, 60:62] = 200, 30, 20
    write_video(tmp_path / "v.mp4", frames, fps=10, gif=True)
    with Image.open(tmp_path / "v.gif") as gif:
        shown = np.asarray(gif.convert("RGB")).astype(int)
    assert np.abs(shown[50:54, 60:62] - (200, 30, 20)).max() < 10
    assert np.square(shown - frames[0]).mean() < 6
