"""The model card of a checkpoint: what the agent is, how it was made, what it scores, and where it ends."""

import dataclasses
import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from worldmodels.config import Config, ControllerConfig
from worldmodels.evaluate import RANDOM, read_scores
from worldmodels.files import read_json
from worldmodels.iterations import lineage
from worldmodels.options import write_yaml
from worldmodels.render.document import Block, Heading, Listing, Paragraph, Table, to_markdown
from worldmodels.render.scores import score_blocks
from worldmodels.render.summary import NOT_BEGUN, in_words, stage_rows
from worldmodels.runs import Run

CARD = "README.md"
CPU_INFO = Path("/proc/cpuinfo")
LIMITS = (
    "It knows one game at 64x64 pixels, and of that game what its rollouts show; in other colours, from another camera "
    "or with another frame rate it is lost. Scores are those of the library versions named, on seeds that no choice "
    "was made on. Pictures of its dreams look like the game and are not the game: M's predictions drift within seconds."
)


def model_card(run: Run, name: str, folder: str, note: str = "") -> str:
    """The card, as Markdown, of the run's agent `name`, for a checkpoint in `folder`; `note` is told of its making."""
    return to_markdown(f"{run.config.task.name}: the agent {name}", list(_blocks(run, name, folder, note)))


def _blocks(run: Run, name: str, folder: str, note: str) -> Iterator[Block]:
    # one whose folder was copied or renamed is none of the run's options
    options = run.config.controllers.get(name) or run.controller(name).section(ControllerConfig, "controller")
    alone = dataclasses.replace(run.config, controllers={name: options})
    yield Paragraph(in_words(alone))
    yield Listing("Score it, or play in its dream", _commands(folder))
    yield Heading("Scores")
    rows = [row for row in read_scores(run) if row.agent in (name, RANDOM)]
    if rows:
        yield from score_blocks(rows)
    else:
        yield Paragraph("Not measured when this was written.", aside=True)
    yield Heading("How it was made")
    runs = [*lineage(run)[:-1], Run(run.folder, alone)]
    for number, one in enumerate(runs, 1):
        if len(runs) > 1:
            yield Paragraph(f"Iteration {number} of {len(runs)}:")
        stages = [row for row in stage_rows(one) if row[1] != NOT_BEGUN]
        yield Table(("stage", "state", "result", "time"), stages, texts=3)
    if note:
        yield Paragraph(note)
    yield Paragraph(f"Training, validation and test seeds are disjoint ranges. Written on {machine()}.")
    versions = read_json(run.controller(name).folder / "options.json").get("versions", {})
    yield Paragraph(f"Made with {', '.join(f'{package} {version}' for package, version in versions.items())}.")
    yield _options(runs, alone)
    yield Heading("Limits")
    yield Paragraph(LIMITS)
    yield Heading("Licence")
    yield Paragraph("MIT, as the project that it was made with.")


def _options(runs: Sequence[Run], alone: Config) -> Listing:
    """What makes such an agent again: all options, or those of the first iteration if it names the later ones."""
    again = "scripts/run_pipeline.py --run runs/again --config options.yaml"
    if len(runs) == 1:
        return Listing(f"All options, for {again}", write_yaml(alone))
    first = runs[0].config
    if first.iterations == len(runs):
        return Listing(f"All options, of all iterations, for {again}", write_yaml(first))
    return Listing(
        "All options of the last iteration, which went on from folders of its maker's (previous, collect)",
        write_yaml(alone),
    )


def _commands(folder: str) -> str:
    scripts = ("evaluate", "play_dream")
    return "\n".join(f".venv/bin/python scripts/{script}.py --checkpoint {folder}" for script in scripts)


def machine() -> str:
    """This machine's processor, cores and memory."""
    lines = CPU_INFO.read_text(encoding="utf-8").splitlines() if CPU_INFO.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), {memory:.0f} GiB of memory"
