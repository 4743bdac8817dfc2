"""The report of a run: scores, videos, curves and options on one page, in a folder that can be sent to anyone."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

from worldmodels.disk import folder_bytes, require_space
from worldmodels.errors import UserError
from worldmodels.evaluate import read_scores
from worldmodels.files import atomic, write_text
from worldmodels.metrics import read_metrics, say
from worldmodels.options import write_yaml
from worldmodels.render.calibrated import calibration_blocks
from worldmodels.render.curves import controller_curves, game_curves, memory_curves, vision_curves
from worldmodels.render.document import (
    Block,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Table,
    Video,
    to_html,
    to_markdown,
)
from worldmodels.render.iterated import iteration_blocks
from worldmodels.render.paper import PAPER
from worldmodels.render.scores import score_blocks
from worldmodels.render.stages import VIDEOS
from worldmodels.render.summary import in_words, stage_rows
from worldmodels.render.temperatures import temperature_figure
from worldmodels.runs import Run
from worldmodels.shared import shared_folder
from worldmodels.vision.signs import signs
from worldmodels.vision.train import STRIP

REPORT = "report"
PICTURE_BYTES = 5e6
"""What the report's own pictures take; the videos are copied."""
KINDS = {
    "real": "in the real game: what it sees, what V keeps of it, and what M had expected a step before",
    "dream": "dreaming: V's pictures of what M imagines, with the rewards that M predicts",
    "temperatures": "dreaming at several temperatures, from the same starts",
    "open-loop": "beside its M, which is left alone in the midst of the episode and goes on dreaming by itself",
}
"""Videos by the first part of their name, and what an agent does in them."""


def write_report(run: Run) -> None:
    """Write `report/index.html` and `report/report.md` with all that the run has so far, and the files that they show.

    What is not made yet is said to be so. Raises UserError if there is no such run, or a file of it is damaged.
    """
    if not run.folder.is_dir():
        raise UserError(f"There is no run {run.folder} to report on.")
    needed = folder_bytes(run.folder / VIDEOS) + PICTURE_BYTES
    require_space(run.folder / REPORT, needed, "The report", run.config.compute)
    title = f"World models: {run.config.task.name}"
    with shared_folder(run.folder / REPORT) as folder:
        shown = (_scores(run, folder), iteration_blocks(run), _videos(run, folder), _learning(run, folder))
        blocks = [*_opening(run), *itertools.chain(*shown, calibration_blocks(run), _making(run))]
        for name, write in {"index.html": to_html, "report.md": to_markdown}.items():
            write_text(folder / name, write(title, blocks))
        say(f"Wrote {folder / 'index.html'}")


def _opening(run: Run) -> Iterator[Block]:
    yield Paragraph(in_words(run.config))


def _scores(run: Run, folder: Path) -> Iterator[Block]:
    yield Heading("Scores")
    rows = read_scores(run)
    if not rows:
        yield Paragraph(f"Not yet measured: run scripts/evaluate.py --run {run.folder}.", aside=True)
        return
    paper = PAPER.get(run.config.task.name, [])
    notes = [
        (
            f"the paper's {entry.agent}",
            entry.game,
            "" if entry.temperature is None else f"{entry.temperature:g}",
            "100",
            f"{entry.score[0]:.0f} ± {entry.score[1]:.0f}",
            *[""] * 4,
        )
        for entry in paper
    ]
    yield from score_blocks(rows, notes)
    if temperature_figure(rows, run.config.controllers, folder / "temperatures.png"):
        yield Picture("temperatures.png", "Scores by the temperature of the dream, and those in the real game.")
    if paper:
        yield Paragraph(
            "The paper's scores (Ha & Schmidhuber 2018) are of the games and the libraries of its time.",
            aside=True,
        )


def _videos(run: Run, folder: Path) -> Iterator[Block]:
    yield Heading("Videos")
    found = False
    for kind, action in KINDS.items():
        for path in sorted((run.folder / VIDEOS).glob(f"{kind}-*.mp4")):
            found = True
            agent = path.stem.removeprefix(f"{kind}-")
            gif = path.with_suffix(".gif")
            shown = _copy(gif, folder) if gif.exists() else None
            yield Video(_copy(path, folder), f'The agent "{agent}" {action}.', shown)
            if path.with_suffix(".png").exists():
                yield Picture(_copy(path.with_suffix(".png"), folder), f'Moments of the same (agent "{agent}").')
    for path in sorted((run.folder / VIDEOS).glob("uncertainty-*.png")):
        agent = path.stem.removeprefix("uncertainty-")
        yield Picture(_copy(path, folder), f'What M expected of the latents, and what came to pass (agent "{agent}").')
    if not found:
        yield Paragraph(
            f"Not yet made: run scripts/render_real.py and scripts/render_dream.py --run {run.folder}.", True
        )


def _learning(run: Run, folder: Path) -> Iterator[Block]:
    yield Heading("Learning")
    if vision_curves(run.vision.folder, folder / "vision.png"):
        yield Picture("vision.png", "V: losses on the training frames and on those of held-out episodes.")
    else:
        yield Paragraph("V is not trained yet.", True)
    entries = read_metrics(run.vision.folder)
    if game_curves(entries, folder / "game.png"):
        yield Picture("game.png", "V: its generator against its discriminator.")
        for sentence in signs(entries).values():
            yield Paragraph(sentence)
    if (run.vision.folder / STRIP).exists():
        yield Picture(_copy(run.vision.folder / STRIP, folder), "Held-out frames, and V's reconstructions below them.")
    baselines = (run.memory.done or {}).get("summary", {}).get("baselines", {})
    if memory_curves(run.memory.folder, baselines, folder / "memory.png"):
        yield Picture("memory.png", "M: losses on the training episodes and on held-out ones, and two baselines.")
    else:
        yield Paragraph("M is not trained yet.", True)
    for name, config in run.config.controllers.items():
        picture = folder / f"controller-{name}.png"
        if controller_curves(run.controller(name).folder, name, config, picture):
            yield Picture(picture.name, f"C ({name}): the candidates' returns, and validation on the real game.")
        else:
            yield Paragraph(f"The controller {name} is not evolved yet.", True)


def _making(run: Run) -> Iterator[Block]:
    yield Heading("How it was made")
    yield Table(("stage", "state", "result", "time"), stage_rows(run), texts=3)
    yield Listing("All options", write_yaml(run.config))


def _copy(path: Path, folder: Path) -> str:
    """Put a file into the report's folder; its name there."""
    with atomic(folder / path.name) as temporary:
        shutil.copyfile(path, temporary)
    return path.name
