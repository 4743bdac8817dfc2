from pathlib import Path

import pytest

from worldmodels.metrics import MetricsLog, _short, progress_bar, read_metrics


def test_metrics_come_back(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        log.write(1, loss=0.5)
        log.write(2, loss=1, **{"validation/nll": 1 / 3})
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 1.0, "validation/nll": 1 / 3}]
    assert list((tmp_path / "tensorboard").iterdir())


def test_work_that_was_not_saved_is_forgotten(tmp_path: Path) -> None:
    with MetricsLog(tmp_path, 0) as log:
        for step in range(1, 6):
            log.write(step, loss=step)
    with MetricsLog(tmp_path, 3) as log:
        log.write(4, loss=40)
    assert [entry["loss"] for entry in read_metrics(tmp_path)] == [1, 2, 3, 40]


@pytest.mark.parametrize("tail", ['{"step": 2, "lo', "{", '{"step": 2', "\x00"])
def test_a_torn_last_line_is_left_out(tmp_path: Path, tail: str) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n' + tail)
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 2.0}]
    with MetricsLog(tmp_path, 5):
        pass
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": 2.0}\n'


def test_no_metrics_are_an_empty_list(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []


def test_without_a_terminal_only_what_is_said_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("V", 10, "frames") as bar:
        bar.advance(3, "loss 1")
        bar.say("half [way] there")
    said = capsys.readouterr()
    assert said.err == "half [way] there\n"
    assert said.out == ""


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.0012345, "0.00123"), (1.2345, "1.23"), (12.345, "12.3"), (123.4, "123"), (12345, "12,345")],
)
def test_rates_have_three_digits(number: float, text: str) -> None:
    assert _short(number) == text
