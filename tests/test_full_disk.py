"""A disk that fills up stops every stage with one sentence; with room again, the same command ends as if it had not."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest
from killing import contents

import worldmodels.collect.stage
import worldmodels.data.encoding
from worldmodels.cli import guarded
from worldmodels.collect import collect_rollouts
from worldmodels.evaluate import evaluate
from worldmodels.evolution.train import train_controller
from worldmodels.memory.train import train_memory
from worldmodels.render import render_dream, render_real, write_report
from worldmodels.runs import Run
from worldmodels.vision.train import train_vision

STAGES: dict[str, tuple[Callable[[Run], None], tuple[str, ...]]] = {
    "collect": (collect_rollouts, ("rollouts",)),
    "V": (train_vision, ("vision",)),
    "M": (train_memory, ("latents", "memory")),
    "C": (lambda run: train_controller(run, "real"), ("controllers/real",)),
    "C in the dream": (lambda run: train_controller(run, "dream"), ("controllers/dream",)),
    "evaluate": (evaluate, ("evaluation",)),
    "film the game": (lambda run: render_real(run, "real"), ("videos",)),
    "film the dream": (lambda run: render_dream(run, "dream"), ("videos",)),
    "report": (write_report, ("report",)),
}
"""What is done, and the folders that it writes."""
ROOM = (0, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Kilobytes that the disk has left, at one attempt after the other."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk, and not everywhere")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def leave(disk: Path, kilobytes: int) -> Path:
    """Fill a disk but for so much; returns the file that fills it."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - 1024 * kilobytes))
    return filler


def attempt(work: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str | None:
    """The last line that a command says if it fails; None if it does not."""
    status = 0
    try:
        guarded(work)
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status in (0, 2)
    return capsys.readouterr().err.splitlines()[-1] if status else None


@pytest.fixture(scope="session")
def whole_run(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The tiny run with all that comes after its training."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    shutil.copytree(tiny_run.folder, folder)
    render = replace(tiny_run.config.render, seconds=0.2, scale=1, dreams=2, temperatures=(1.0,))
    evaluation = replace(tiny_run.config.evaluate, episodes=4)
    run = Run(folder, replace(tiny_run.config, render=render, evaluate=evaluation))
    for name in ("evaluate", "film the game", "film the dream", "report"):
        STAGES[name][0](run)
    return run


SLOW = [pytest.param(name, marks=pytest.mark.slow if "film" in name else ()) for name in STAGES]


@pytest.mark.parametrize("name", SLOW)
def test_a_disk_that_fills_up_costs_nothing_but_time(
    name: str, whole_run: Run, disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worldmodels.collect.stage, "FLUSH_ROWS", 15)
    monkeypatch.setattr(worldmodels.data.encoding, "CHUNK", 16)
    work, folders = STAGES[name]
    done = [folder for _, others in STAGES.values() for folder in others if folder not in folders]
    for folder in {"config.yaml", *done}:
        source, target = whole_run.folder / folder, disk / "run" / folder
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    run = Run(disk / "run", whole_run.config)
    stopped = 0
    for kilobytes in ROOM:
        regardless = Run(run.folder, replace(run.config, compute=replace(run.config.compute, check_disk=False)))
        filler = leave(disk, kilobytes)
        said = attempt(lambda regardless=regardless: work(regardless), capsys)
        filler.unlink()
        assert said is None or "cannot be written: No space left on device. What is finished is kept" in said
        stopped += said is not None
    assert stopped > 1
    assert attempt(lambda: work(run), capsys) is None
    for folder in folders:
        assert comparable(name, run.folder / folder) == comparable(name, whole_run.folder / folder)


def comparable(stage: str, folder: Path) -> dict[str, object]:
    """What a stage has left in a folder, but for what tells the time or the place."""
    if "film" in stage:  # both kinds are in one folder; pixels may differ in their last bit from process to process
        mine = [film for film in folder.iterdir() if film.name.startswith("real-") == (stage == "film the game")]
        return {film.name: frames(film) for film in mine}
    found = contents(folder)
    return {name: content for name, content in found.items() if Path(name).suffix not in (".html", ".md")}


def frames(film: Path) -> list[tuple[int, int]]:
    """Sizes of a film's frames, all of which can be decoded."""
    with av.open(str(film)) as container:
        return [(frame.width, frame.height) for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", STAGES)
def test_too_small_a_disk_is_refused_before_anything_is_done(
    name: str, whole_run: Run, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, folders = STAGES[name]
    shutil.copytree(whole_run.folder, disk / "run", ignore=shutil.ignore_patterns("tensorboard"))
    for folder in folders:
        shutil.rmtree(disk / "run" / folder)
    leave(disk, 20_000)
    said = attempt(lambda: work(Run(disk / "run", whole_run.config)), capsys)
    assert said is not None
    assert "the disk has 20.5 MB left: free " in said or "the disk has 20.4 MB left: free " in said
    assert "or try regardless with --compute.check-disk False." in said
    if name != "M":  # whose latents are written first
        assert not any((disk / "run" / folder / "done.json").exists() for folder in folders)
