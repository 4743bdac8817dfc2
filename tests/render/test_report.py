"""Curves and the report, from runs that are empty, begun and damaged."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from worldmodels.config import Config, ControllerConfig, TaskConfig
from worldmodels.errors import UserError
from worldmodels.files import write_json
from worldmodels.render.curves import controller_curves, game_curves, memory_curves, vision_curves
from worldmodels.render.report import write_report
from worldmodels.render.summary import duration
from worldmodels.runs import Run

GENERATIONS = [
    {"generation": 0, "fitness": [1.0, 2.0, 4.0, 3.0], "samples": 1, "steps": 40, "seconds": 60.0, "sigma": 0.1},
    {"generation": 1, "fitness": [2.0, 2.5, 4.5, 3.0], "samples": 2, "steps": 50, "seconds": 65.0, "sigma": 0.1}
    | {"validation": [3.0, 4.0, 5.0]},
]
ROW = {
    "agent": "<i>real</i>",
    "world": "real",
    "game": "CarRacing-v3",
    "temperature": None,
    "episodes": 100,
    "mean": 712.34,
    "std": 50.0,
    "sem": 5.0,
    "interval": [700.0, 725.0],
    "iqm": 720.0,
    "success_rate": 0.25,
    "length": 987.6,
}


def write_lines(path: Path, entries: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def metrics(*names: str) -> list[dict]:
    """A training's metrics, and one validation."""
    training = [{"step": step, **dict.fromkeys(names, 10.0 / step)} for step in range(1, 20)]
    return [*training, {"step": 19, **{f"validation/{name}": 0.6 for name in names}}]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "run"
    folder.mkdir()
    return Run(folder, Config(task=TaskConfig(name="car_racing"), controllers={"real": ControllerConfig()}))


@pytest.fixture
def full_run(run: Run) -> Run:
    write_lines(run.vision.folder / "metrics.jsonl", metrics("loss", "reconstruction", "kl", "dead_dimensions"))
    write_lines(run.memory.folder / "metrics.jsonl", metrics("loss", "nll", "reward"))
    write_lines(run.controller("real").folder / "history.jsonl", GENERATIONS)
    (run.controller("real").folder / "clock.json").write_text(json.dumps({"seconds": 125.0}))
    summary = {"baselines": {"no_change": 1.0, "no_memory": 1.4}, "validation": {"nll": 0.6}, "steps": 4000}
    write_json(run.memory.folder / "options.json", {"options": {}, "upstream": {}})
    run.memory.finish(summary)
    run.evaluation.folder.mkdir()
    (run.evaluation.folder / "scores.json").write_text(json.dumps({"rows": [ROW]}))
    videos = run.folder / "videos"
    videos.mkdir()
    pictures = ("open-loop-real.png", "uncertainty-real.png")
    for name in ("real-real.mp4", "real-real.gif", "dream-real.mp4", "open-loop-real.mp4", *pictures):
        (videos / name).write_bytes(b"x")
    return run


def test_report_of_an_empty_run_says_what_is_missing(run):
    write_report(run)
    page = (run.folder / "report" / "index.html").read_text()
    for sentence in ("Not yet measured", "Not yet made", "V is not trained", "M is not trained", "real is not evolved"):
        assert sentence in page
    assert "not begun" in page


def test_scores_at_several_temperatures_are_drawn(full_run):
    dreams = [{**ROW, "world": "dream", "temperature": temperature} for temperature in (0.5, 1.0)]
    (full_run.evaluation.folder / "scores.json").write_text(json.dumps({"rows": [ROW, *dreams]}))
    write_report(full_run)
    assert 'src="temperatures.png"' in (full_run.folder / "report" / "index.html").read_text()
    assert (full_run.folder / "report" / "temperatures.png").is_file()


def test_report_shows_all_there_is(full_run):
    write_report(full_run)
    folder = full_run.folder / "report"
    page, text = (folder / "index.html").read_text(), (folder / "report.md").read_text()
    shown = re.findall(r'src="([^"]+)"', page)
    films = ["real-real.mp4", "dream-real.mp4", "open-loop-real.mp4", "open-loop-real.png", "uncertainty-real.png"]
    assert shown == [*films, "vision.png", "memory.png", "controller-real.png"]
    assert all((folder / name).is_file() for name in shown)
    assert "real-real.gif" in text
    for words in ("712.3 ± 50.0", "700.0 to 725.0", "25%", "988", "906 ± 21", "2 min 5 s", "validation nll 0.6"):
        assert words in page
        assert words in text
    assert "<i>real" not in page + text


def test_report_can_be_written_again(full_run):
    write_report(full_run)
    files = {path.name: path.read_bytes() for path in (full_run.folder / "report").iterdir()}
    (full_run.folder / "report" / ".real-real.mp4.123.tmp.mp4").touch()  # left by a kill
    write_report(full_run)
    assert {path.name: path.read_bytes() for path in (full_run.folder / "report").iterdir()} == files


@pytest.mark.parametrize("content", ['{"rows": [{"agent": "x"}]}', "{}", '{"rows": 3}', "nonsense"])
def test_damaged_scores_are_named(run, content):
    run.evaluation.folder.mkdir()
    (run.evaluation.folder / "scores.json").write_text(content)
    with pytest.raises(UserError, match=r"scores\.json"):
        write_report(run)


def test_no_run_no_report(tmp_path):
    with pytest.raises(UserError, match="no run"):
        write_report(Run(tmp_path / "none", Config()))


def test_no_metrics_no_curve(tmp_path):
    assert not vision_curves(tmp_path, tmp_path / "v.png")
    assert not memory_curves(tmp_path, {}, tmp_path / "m.png")
    assert not controller_curves(tmp_path, "real", ControllerConfig(), tmp_path / "c.png")
    assert list(tmp_path.iterdir()) == []


def test_a_curve_marks_what_evolution_began_at_while_nothing_is_better(tmp_path):
    drawn = []
    for kept in (90.0, 91.0):
        write_lines(tmp_path / "history.jsonl", [GENERATIONS[0] | {"validation": [1.0, 2.0], "kept": [kept, 90.0]}])
        assert controller_curves(tmp_path, "c", ControllerConfig(), tmp_path / "c.png")
        drawn.append((tmp_path / "c.png").read_bytes())
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("world", ["real", "dream"])
def test_controller_curve_of_few_generations(tmp_path, count, world):
    write_lines(tmp_path / "history.jsonl", GENERATIONS[:count])
    assert controller_curves(tmp_path, "c", ControllerConfig(world=world), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width > 1000
        assert np.asarray(picture).std() > 5


def test_a_game_between_networks_is_drawn_and_its_signs_are_told(run):
    names = ("loss_generator", "loss_discriminator", "accuracy_real", "accuracy_fake", "spread", "recall", "coverage")
    entries = metrics("loss", *names)
    entries[-1] |= {"validation/spread": 0.1}
    write_lines(run.vision.folder / "metrics.jsonl", entries)
    write_report(run)
    assert (run.folder / "report" / "game.png").exists()
    text = (run.folder / "report" / "report.md").read_text()
    assert "game.png" in text
    assert "Mode collapse at step 19" in text
    assert not game_curves(metrics("loss"), run.folder / "none.png")


def test_a_curve_of_averaged_means_shows_them(tmp_path):
    drawn = []
    for name, averaged in (("plain", None), ("averaged", [5.0, 6.0, 7.0])):
        lines = [GENERATIONS[0], GENERATIONS[1] | {"averaged": averaged}]
        (tmp_path / name).mkdir()
        write_lines(tmp_path / name / "history.jsonl", lines)
        assert controller_curves(tmp_path / name, "c", ControllerConfig(), tmp_path / f"{name}.png")
        drawn.append((tmp_path / f"{name}.png").read_bytes())
    assert drawn[0] != drawn[1]


def test_metrics_of_an_unknown_vision_model_are_drawn(tmp_path):
    write_lines(tmp_path / "metrics.jsonl", metrics("loss", "adversarial_loss"))
    assert vision_curves(tmp_path, tmp_path / "v.png")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "5 s"), (125, "2 min 5 s"), (3720, "1 h 2 min"), (90_000, "1 d 1 h"), (59.7, "1 min 0 s")],
)
def test_durations_read_well(seconds, words):
    assert duration(seconds) == words
