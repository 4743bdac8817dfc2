"""All stages in order, as often as there are iterations."""

from collections.abc import Callable, Iterator
from functools import partial

from worldmodels.calibration import train_checked_memory
from worldmodels.collect import collect_rollouts
from worldmodels.evaluate import evaluate
from worldmodels.evolution.train import train_controller
from worldmodels.files import read_json, write_json
from worldmodels.iterations import iterations
from worldmodels.metrics import say
from worldmodels.options import to_dict
from worldmodels.render import render_dream, render_real, write_report
from worldmodels.render.stages import VIDEOS
from worldmodels.runs import Run
from worldmodels.vision.train import train_vision

Work = tuple[str, Callable[[], object]]
"""A title, and what is done under it."""


def run_pipeline(run: Run) -> None:
    """Run all stages in order, skipping what is finished, and write a report.

    With more than one iteration each is evaluated and has a report; only the last one's agents are filmed. Can be
    killed and called again at any time, and with more iterations.
    """
    runs = iterations(run)
    last = len(runs)
    work: list[Work] = []
    for number, iteration in enumerate(runs, 1):
        where = f", iteration {number} of {last}" if last > 1 else ""
        work += [(title + where, stage) for title, stage in stages(iteration, films=number == last)]
    for number, (title, stage) in enumerate(work, 1):
        say(f"[{number}/{len(work)}] {title}")
        stage()


def stages(run: Run, films: bool) -> Iterator[Work]:
    """What is done for one run, in order; its agents are filmed or not."""
    controllers = list(run.config.controllers)
    yield "Collect rollouts", partial(_collect, run)
    yield "Train V", partial(train_vision, run)
    yield "Train M", partial(train_checked_memory, run)
    for name in controllers:
        yield f"Evolve C ({name})", partial(train_controller, run, name)
    yield "Evaluate", partial(evaluate, run)
    for name in controllers if films else ():
        yield f"Film {name} awake", partial(_film, run, name, "real", render_real)
    for name in controllers if films else ():
        yield f"Film {name} dreaming", partial(_film, run, name, "dream", render_dream)
    yield "Report", partial(write_report, run)


def _collect(run: Run) -> None:
    """Collect unless the run's rollouts were imported."""
    if run.rollouts.done is None or "import" not in run.rollouts.options():
        collect_rollouts(run)


def _film(run: Run, name: str, world: str, render: Callable[[Run, str], None]) -> None:
    """Film an agent unless all its films of a world were made, of the same agent and with the same options.

    That is what `videos/WORLD-NAME.json` says; it is written last, for a kill may come between two films.
    """
    made_from = {
        "controller": run.controller(name).fingerprint(),
        "task": to_dict(run.config.task),
        "render": to_dict(run.config.render),
        "stock": run.config.evaluate.stock,
    }
    filmed = run.folder / VIDEOS / f"{world}-{name}.json"
    if not filmed.exists() or read_json(filmed) != made_from:
        render(run, name)
        write_json(filmed, made_from)
