"""What a run measures while it runs: JSON lines and TensorBoard for curves, progress bars for the person."""

import contextlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from worldmodels.board import Board
from worldmodels.errors import UserError
from worldmodels.files import whole_lines, write_text


class MetricsLog:
    """Metrics of one stage: `metrics.jsonl` and TensorBoard files in its folder.

    Args:
        folder: the stage's folder.
        resume_step: entries after this step are dropped: they are of work that was not saved and is done again.
    """

    def __init__(self, folder: Path, resume_step: int) -> None:
        self.path = folder / "metrics.jsonl"
        kept = [entry for entry in read_metrics(folder) if entry["step"] <= resume_step]
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in kept))
        self._file = self.path.open("a")
        self._board = Board(folder / "tensorboard", resume_step + 1)

    def write(self, step: int, **values: float) -> None:
        """Record named numbers at a step."""
        plain = {name: float(value) for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **plain}) + "\n")
        self._file.flush()
        for name, value in plain.items():
            self._board.add(name, value, step)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.closing(self._board), contextlib.closing(self._file):
            pass


def check_loss(loss: float, whose: str, step: int, weights: Path, option: str) -> None:
    """Raise UserError if a training's loss is no finite number, with what is left of it and the option to change."""
    if math.isfinite(loss):
        return
    kept = f"the last good weights are {weights}" if weights.exists() else "there was no validation yet to keep any of"
    raise UserError(f"{whose}'s loss became {loss} at step {step}; {kept}: lower {option} and train in a new --run.")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Entries of a stage's `metrics.jsonl`; a last line torn by a kill, and those that are damaged, are left out."""
    entries: list[dict[str, Any]] = []
    for line in whole_lines(folder / "metrics.jsonl"):
        with contextlib.suppress(ValueError, RecursionError):
            entry = json.loads(line)
            if isinstance(entry, dict) and "step" in entry and all(type(v) in (int, float) for v in entry.values()):
                entries.append(entry)
    return entries


class _Rate(ProgressColumn):
    """Units a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{_short(speed)} {task.fields['unit']}/s", style="progress.data.speed")


def _short(number: float) -> str:
    """Three significant digits, without an exponent."""
    return (
        f"{number:,.0f}" if number >= 100 or number == 0 else f"{number:.{max(0, 2 - math.floor(math.log10(number)))}f}"
    )


class Bar:
    """A progress bar under way."""

    def __init__(self, progress: Progress, task: Any) -> None:
        self._progress, self._task = progress, task

    def advance(self, count: float = 1, note: str | None = None) -> None:
        """Count work as done and show a short note beside the bar."""
        self._progress.advance(self._task, count)
        if note is not None:
            self._progress.update(self._task, note=note)

    def expect(self, total: int) -> None:
        """Work turned out to be more or less than was thought."""
        self._progress.update(self._task, total=total)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextlib.contextmanager
def progress_bar(title: str, total: int, unit: str, done: int = 0) -> Iterator[Bar]:
    """A progress bar on standard error with rate and time left; `done` of `total` units are from before.

    Where standard error is no terminal, only the lines said are printed.
    """
    console = Console(stderr=True)
    columns = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    ]
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), speed_estimate_period=60) as progress:
        yield Bar(progress, progress.add_task(title, total=total, completed=done, unit=unit, note=""))


def say(line: str) -> None:
    """Print a line for the person to standard error."""
    print(line, file=sys.stderr, flush=True)
