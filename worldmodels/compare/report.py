"""The comparison as a table, for reading and for programs, and as a figure."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from worldmodels.compare.figure import draw
from worldmodels.compare.rows import Result, Row, rows_of_table
from worldmodels.compare.statistics import Estimate
from worldmodels.compare.variants import Variant
from worldmodels.config import Config
from worldmodels.data.labels import Labels
from worldmodels.data.rollouts import split_episodes
from worldmodels.files import write_json, write_text
from worldmodels.measure.features import STATEMENT
from worldmodels.metrics import say
from worldmodels.options import to_dict
from worldmodels.records import versions
from worldmodels.render.document import Block, Heading, Paragraph, Picture, Table, to_markdown
from worldmodels.runs import Run

MARKS = {"best": " *", "tied": " ~", "": ""}
ARROWS = {"lower": " (less is better)", "higher": " (more is better)", "neither": ""}
FIGURE = "figure.png"


def write_comparison(run: Run, labels: Labels | None, compared: Sequence[Variant], results: Sequence[Result]) -> None:
    """Write `comparison/table.md`, `table.json` and `figure.png` of what there is so far."""
    folder = run.comparison.folder
    names = [variant.label for variant in compared]
    rows = rows_of_table(labels, tuple(run.config.controllers), names, results)
    draw(folder / FIGURE, rows, names)
    title = f"Models in V's place on {run.config.task.name}"
    write_text(folder / "table.md", to_markdown(title, list(_blocks(run, names, rows, results))))
    write_json(folder / "table.json", _plain(run, compared, rows, results))
    say(f"Wrote {folder / 'table.md'}")


def _blocks(run: Run, names: Sequence[str], rows: Sequence[Row], results: Sequence[Result]) -> Iterator[Block]:
    seeds = sorted({result.seed for result in results})
    yield Paragraph(in_words(run.config, seeds, run.rollouts.summary()))
    yield Paragraph(
        "Mean ± half of the 95 % t interval over the seeds, which differ in weights, batches, noise and evolution, "
        f"not in rollouts. * marks the best mean of a row, ~ what {len(seeds)} seeds cannot tell from it (the 95 % "
        "interval of the difference, Welch's, holds 0). Rows are judged one by one: with so many of them, some "
        "differences are chance."
    )
    for group in dict.fromkeys(row.measure.group for row in rows):
        part = [row for row in rows if row.measure.group == group]
        yield Heading(group)
        headings = ("", *names, *({"held against"} if any(row.reference is not None for row in part) else ()))
        yield Table(headings, [_cells(row, names, len(headings)) for row in part])
    yield Heading("How it was measured")
    yield Paragraph(f"Kernel distance, precision and recall: {STATEMENT}; against real frames of training episodes.")
    for name in names:
        for note in dict.fromkeys(note for result in results if result.model == name for note in result.found["notes"]):
            yield Paragraph(f"{name}: {note}", aside=True)
    yield Picture(
        FIGURE, "Every seed, means with 95 % intervals, and what they are held against (dashed), as far as axes reach."
    )


def _cells(row: Row, names: Sequence[str], width: int) -> tuple[str, ...]:
    cells = [row.measure.title + ARROWS[row.measure.better]]
    cells += [in_short(row.estimates.get(name)) for name in names]
    if len(cells) < width:
        cells.append("" if row.reference is None else f"{row.reference:.3g} ({row.measure.held_against})")
    return tuple(cells)


def in_short(estimate: Estimate | None) -> str:
    """An estimate as a cell shows it."""
    if estimate is None:
        return "-"
    margin = "" if estimate.margin is None else f" ± {estimate.margin:.2g}"
    return f"{estimate.mean:.3g}{margin}{MARKS[estimate.mark]}"


def in_words(config: Config, seeds: Sequence[int], rollouts: dict[str, Any]) -> str:
    """Seeds and budgets in a few sentences."""
    vision, memory = config.vision, config.memory
    _, held_out = split_episodes(rollouts["episodes"], vision.validation_fraction)
    told = [
        f"Seeds {', '.join(map(str, seeds))}; the same {rollouts['episodes']:,} episodes of "
        f"{rollouts['frames']:,} frames for all, {len(held_out):,} of them held out.",
        f"V: {vision.latent_dim} latents, {vision.steps:,} steps of {vision.batch} frames.",
        f"M: an LSTM of {memory.hidden}, {memory.steps:,} steps of {memory.batch} x {memory.sequence}.",
    ]
    for name, c in config.controllers.items():
        where = "the game" if c.world == "real" else f"M's dream at temperature {c.temperature:g}"
        told.append(
            f"C ({name}): {c.generations} generations of {c.population} x {c.rollouts} episodes in {where}, "
            f"the mean kept that did best on {c.validation_episodes} validation episodes."
        )
    told.append(f"Scores: {config.evaluate.episodes} test episodes.")
    return " ".join(told)


def _plain(run: Run, compared: Sequence[Variant], rows: Sequence[Row], results: Sequence[Result]) -> dict[str, Any]:
    """All of it for programs: options, and every value of every seed."""
    return {
        "options": to_dict(run.config),
        "models": {variant.label: to_dict(variant.vision) for variant in compared},
        "rollouts": run.rollouts.summary() | {"fingerprint": run.rollouts.fingerprint()},
        "versions": versions(),
        "extractor": STATEMENT,
        "rows": [
            {
                "group": row.measure.group,
                "title": row.measure.title,
                "name": row.measure.name,
                "better": row.measure.better,
                "reference": row.reference,
                "held_against": row.measure.held_against,
                "values": row.values,
                "estimates": {name: dataclasses.asdict(estimate) for name, estimate in row.estimates.items()},
            }
            for row in rows
        ],
        "results": [dataclasses.asdict(result) for result in results],
    }
