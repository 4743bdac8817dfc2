"""All stages in order."""

from collections.abc import Callable

from worldmodels.calibration import train_checked_memory
from worldmodels.collect import collect_rollouts
from worldmodels.evaluate import evaluate
from worldmodels.evolution.train import train_controller
from worldmodels.metrics import say
from worldmodels.render import render_dream, render_real, write_report
from worldmodels.render.stages import VIDEOS
from worldmodels.runs import Run
from worldmodels.vision.train import train_vision


def run_pipeline(run: Run) -> None:
    """Run all stages of a run in order, skipping what is finished, and write its report.

    Can be killed and called again at any time.
    """
    controllers = list(run.config.controllers)
    stages: list[tuple[str, Callable[[], object]]] = [
        ("Collect rollouts", lambda: _collect(run)),
        ("Train V", lambda: train_vision(run)),
        ("Train M", lambda: train_checked_memory(run)),
        *((f"Evolve C ({name})", lambda name=name: train_controller(run, name)) for name in controllers),
        ("Evaluate", lambda: evaluate(run)),
        *((f"Film {name} awake", lambda name=name: _film(run, name, "real", render_real)) for name in controllers),
        *((f"Film {name} dreaming", lambda name=name: _film(run, name, "dream", render_dream)) for name in controllers),
        ("Report", lambda: write_report(run)),
    ]
    for number, (title, stage) in enumerate(stages, 1):
        say(f"[{number}/{len(stages)}] {title}")
        stage()


def _collect(run: Run) -> None:
    """Collect unless the run's rollouts were imported."""
    if run.rollouts.done is None or "import" not in run.rollouts.options():
        collect_rollouts(run)


def _film(run: Run, name: str, world: str, render: Callable[[Run, str], None]) -> None:
    """Film an agent unless that was done since it was last trained."""
    video = run.folder / VIDEOS / f"{world}-{name}.mp4"
    trained = run.controller(name).folder / "done.json"
    if not video.exists() or video.stat().st_mtime < trained.stat().st_mtime:
        render(run, name)
