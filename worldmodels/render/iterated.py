"""What each iteration of training has added, for the report."""

from collections.abc import Iterator

from worldmodels.evaluate import read_scores
from worldmodels.iterations import lineage
from worldmodels.render.document import Block, Heading, Paragraph, Table
from worldmodels.runs import Run
from worldmodels.stage import Stage

HEADINGS = ("iteration", "agent", "frames", "loss of V", "loss of M", "validation of C", "test score")


def iteration_blocks(run: Run) -> Iterator[Block]:
    """A row for each agent of each run that this one goes on from, and for its own; nothing if it is the first.

    Raises UserError if a file of one of these runs is damaged.
    """
    runs = lineage(run)
    if len(runs) == 1:
        return
    yield Heading("Iterations")
    rows = [row for number, one in enumerate(runs, 1) for row in _rows(number, one)]
    yield Table(HEADINGS, rows, texts=2)
    yield Paragraph(
        "Each iteration adds episodes of the last one's agent to the rollouts, and V, M and C begin at its weights. "
        "Losses are of held-out episodes of an iteration's own rollouts, so no two iterations' are of the same frames. "
        "C is validated in the real game, and scored there on seeds that were used for nothing else (mean ± standard "
        "deviation over episodes).",
        aside=True,
    )


def _rows(number: int, run: Run) -> Iterator[tuple[str, ...]]:
    scores = _scores(run)
    frames = _told(run.rollouts, "frames")
    losses = [_told(stage, "validation", "loss") for stage in (run.vision, run.memory)]
    for name in run.config.controllers:
        yield str(number), name, frames, *losses, _told(run.controller(name), "validation"), scores.get(name, "")


def _told(stage: Stage, *keys: str) -> str:
    """A number of what a stage reported; nothing if it is not finished."""
    value = (stage.done or {}).get("summary")
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else ""


def _scores(run: Run) -> dict[str, str]:
    """Scores in the real game by agent, as far as they were measured."""
    return {row.agent: f"{row.mean:.1f} ± {row.std:.1f}" for row in read_scores(run) if row.world == "real"}
