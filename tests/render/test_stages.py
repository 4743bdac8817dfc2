"""Whole videos of a tiny agent, from a run and from a checkpoint."""

import dataclasses

import av
import pytest

from worldmodels.config import ComputeConfig, Config, RenderConfig
from worldmodels.errors import UserError
from worldmodels.render import film_dreams, film_real, render_dream, render_real
from worldmodels.runs import Run

OPTIONS = RenderConfig(seconds=0.4, scale=1, dreams=2, temperatures=(0.5, 1.0), gif=False)
COMPUTE = ComputeConfig(precision="float32")


def frames_of(path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_film_real(agent, tmp_path):
    film_real(agent, tmp_path, "tiny", dataclasses.replace(OPTIONS, gif=True), COMPUTE)
    assert {path.name for path in tmp_path.iterdir()} == {"real-tiny.mp4", "real-tiny.gif"}
    assert frames_of(tmp_path / "real-tiny.mp4") == 10


def test_real_video_ends_with_the_episode(agent, tmp_path):
    film_real(agent, tmp_path, "tiny", dataclasses.replace(OPTIONS, seconds=60.0), COMPUTE)
    assert frames_of(tmp_path / "real-tiny.mp4") == 21 + 25  # the episode, and its last frame for a second


def test_film_dreams(agent, tmp_path):
    film_dreams(agent, tmp_path, "tiny", OPTIONS, COMPUTE)
    names = {"dream-tiny.mp4", "temperatures-tiny.mp4", "open-loop-tiny.mp4", "open-loop-tiny.png"}
    assert {path.name for path in tmp_path.iterdir()} == names | {"uncertainty-tiny.png"}
    assert frames_of(tmp_path / "dream-tiny.mp4") == frames_of(tmp_path / "temperatures-tiny.mp4") == 10


def test_untrained_memory_has_no_dreams(agent, tmp_path, capsys):
    none = agent.starts._replace(**{name: tensor[:0] for name, tensor in agent.starts._asdict().items()})
    film_dreams(dataclasses.replace(agent, starts=none), tmp_path, "tiny", OPTIONS, COMPUTE)
    assert list(tmp_path.iterdir()) == []
    assert "no dreams" in capsys.readouterr().err


def test_checkpoint_is_filmed_under_its_own_name(agent, tmp_path):
    agent.save(tmp_path / "champion")
    run = Run(tmp_path / "run", Config(task=agent.task, render=OPTIONS, compute=COMPUTE))
    render_real(run, "real", checkpoint=tmp_path / "champion")
    assert (run.folder / "videos" / "real-champion.mp4").is_file()


@pytest.mark.parametrize("stage", [render_real, render_dream])
def test_what_a_killed_filming_left_is_removed(stage, agent, tmp_path):
    agent.save(tmp_path / "champion")
    run = Run(tmp_path / "run", Config(task=agent.task, render=OPTIONS, compute=COMPUTE))
    half = run.folder / "videos" / ".real-champion.mp4.123.tmp.mp4"
    half.parent.mkdir(parents=True)
    half.touch()
    stage(run, "real", checkpoint=tmp_path / "champion")
    assert not half.exists()


@pytest.mark.parametrize("stage", [render_real, render_dream])
def test_unfinished_controller_is_refused(stage, tmp_path):
    with pytest.raises(UserError, match="controller real is missing"):
        stage(Run(tmp_path, Config()), "real")
    assert list(tmp_path.iterdir()) == []
