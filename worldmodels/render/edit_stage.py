"""Latent arithmetic on a run: the attributes of its game in V's latents, and what comes of moving along them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from worldmodels.agent import Agent, agent_of_run, blank_agent
from worldmodels.config import ControllerConfig
from worldmodels.data.encoding import encode
from worldmodels.data.labels import Labels, label_rollouts
from worldmodels.data.rollouts import rollouts_of, rows_of
from worldmodels.errors import UserError
from worldmodels.files import write_json
from worldmodels.measure.attributes import Attribute, find_attribute
from worldmodels.metrics import say
from worldmodels.pictures import write_png
from worldmodels.render.edits import ALONE, SIGNS, EditedMoment, dream_pictures, edited_dreams, ramp, strip
from worldmodels.render.video import write_video
from worldmodels.runs import Run
from worldmodels.seeds import stream
from worldmodels.shared import shared_folder
from worldmodels.vision.base import VisionModel
from worldmodels.vision.train import split_of, trained_vision

EDITS = "edits"
FRAMES = 8000
"""Labelled training frames, at most, whose latents make the attributes."""
FRAMES_AN_END = 2
"""Held-out frames of either end of an attribute that a strip shows."""
MOST_DREAMS = 3


def edit_latents(
    run: Run, attributes: tuple[str, ...] = (), alpha: float = 2.0, push: float = 0.1, name: str | None = None
) -> None:
    """Find attributes of the run's game in its V's latents, and move frames and running dreams along them.

    Writes `edits/NAME.png` for each attribute, `edits/dream-NAME.mp4` if the run has an M, and `edits/edits.json`.

    Args:
        run: a run with V.
        attributes: names of labels of the game's state; all if empty.
        alpha: frames are moved by up to so many times an attribute's vector.
        push: the latents of a dream are moved by up to so many times the vector, every step.
        name: controller that acts in the dreams; the first that is finished, or one that does nothing.

    Raises:
        UserError: V is not finished, the game tells no state, it has no such attribute, or there is no such controller.
    """
    vision = trained_vision(run)
    agent = _agent(run, name)
    labels = label_rollouts(run)
    if labels is None:
        raise UserError(f"{run.config.task.name} tells nothing of its state, so there are no attributes to be found.")
    if unknown := [wanted for wanted in attributes if wanted not in labels.names]:
        raise UserError(f"The game has no attribute {unknown[0]}: it has {', '.join(labels.names)}.")
    table = _table(alpha, push)
    found = {}
    with shared_folder(run.folder / EDITS) as folder:
        for attribute in _find(run, vision, labels, attributes):
            told = _show(run, folder, vision, attribute, labels, alpha)
            if agent is not None:
                told |= _dream(run, folder, agent, attribute, push)
            found[attribute.label.name] = told
            table.add_row(attribute.label.name, *_cells(told, attribute))
        write_json(folder / "edits.json", {"alpha": alpha, "push": push, "attributes": found})
    Console(width=110 if not Console().is_terminal else None).print(table)
    if agent is None:
        say("No dream was edited: this run has no M yet.")


def _agent(run: Run, name: str | None) -> Agent | None:
    """Who dreams; None without an M."""
    if name is not None:
        return agent_of_run(run, name)
    if run.memory.done is None:
        return None
    finished = [name for name, config in run.config.controllers.items() if _can_dream(run, name, config)]
    return agent_of_run(run, finished[0]) if finished else blank_agent(run, ControllerConfig())


def _can_dream(run: Run, name: str, config: ControllerConfig) -> bool:
    return config.memory == "trained" and run.controller(name).done is not None


def _find(run: Run, vision: VisionModel, labels: Labels, names: Sequence[str]) -> Iterator[Attribute]:
    """The attributes that the labelled training frames make; those that hardly vary are named and left out."""
    rollouts = rollouts_of(run)
    training, _ = split_of(run, len(rollouts))
    rows = rows_of(rollouts.starts, np.intersect1d(training, labels.episodes))
    rows = np.sort(stream(run.config.seed, "edits/frames").choice(rows, min(FRAMES, len(rows)), replace=False))
    z, _ = encode(vision, rollouts.frames(rows), torch.device("cpu"))
    for label, values in zip(labels.labels, labels.of(rows).T, strict=True):
        if names and label.name not in names:
            continue
        attribute = find_attribute(label, z, values)
        if attribute is None:
            say(f"{label.name} hardly varies in these rollouts: it makes no attribute.")
        else:
            yield attribute


def _show(
    run: Run, folder: Path, vision: VisionModel, attribute: Attribute, labels: Labels, alpha: float
) -> dict[str, Any]:
    """The strip of held-out frames, and what is to be said of it."""
    rollouts = rollouts_of(run)
    _, validation = split_of(run, len(rollouts))
    rows = rows_of(rollouts.starts, np.intersect1d(validation, labels.episodes))
    values = labels.of(rows)[:, labels.names.index(attribute.label.name)]
    chosen = np.concatenate([_spread(rows[values <= attribute.low]), _spread(rows[values >= attribute.high])])
    if not len(chosen):
        chosen = _spread(rows)
    picture, read = strip(vision, attribute, rollouts.frames(chosen), alpha, max(1, run.config.render.scale // 2))
    path = folder / f"{attribute.label.name}.png"
    write_png(path, picture)
    say(f"Wrote {path}")
    return {
        "low": attribute.low,
        "high": attribute.high,
        "length": float(np.linalg.norm(attribute.vector)),
        "read_back": read,
    }


def _spread(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """A few rows, evenly spread."""
    return rows[np.linspace(0, len(rows) - 1, FRAMES_AN_END + 2).astype(int)[1:-1]] if len(rows) else rows


def _dream(run: Run, folder: Path, agent: Agent, attribute: Attribute, push: float) -> dict[str, Any]:
    """The video of dreams being edited, and how far the attribute moved once the push was at its strongest."""
    options = run.config.render
    alphas = ramp(push, max(8, round(options.seconds * agent.task.fps)))
    moments = edited_dreams(agent, attribute, alphas, min(MOST_DREAMS, options.dreams), options.temperature)
    path = folder / f"dream-{attribute.label.name}.mp4"
    title = f"{agent.task.name}, {attribute.label.name}"
    moved: list[NDArray[np.float64]] = []

    def watched() -> Iterator[EditedMoment]:
        for moment in moments:
            if moment.alpha == push:
                moved.append(np.where(moment.over | moment.over[ALONE], np.nan, moment.read - moment.read[ALONE]))
            yield moment

    write_video(path, dream_pictures(attribute, watched(), options.scale, title), agent.task.fps, options.gif)
    say(f"Wrote {path}")
    differences = np.concatenate(moved, axis=1) if moved else np.zeros((len(SIGNS), 0))  # (3, steps x dreams)
    known = differences[:, np.isfinite(differences).all(0)]
    low, _, high = known.mean(1).tolist() if known.size else [None] * len(SIGNS)
    return {"in_dreams": {"low": low, "high": high}}


def _table(alpha: float, push: float) -> Table:
    table = Table(title="What a linear probe reads when latents are moved along an attribute")
    for heading in ("attribute", "-v to +v stands for", f"frames: -{alpha:g} v", "0", f"+{alpha:g} v"):
        table.add_column(heading, justify="left" if heading.startswith(("attribute", "-v")) else "right")
    for heading in (f"dreams: -{push:g} v a step", f"+{push:g} v"):
        table.add_column(heading, justify="right")
    return table


def _cells(told: dict[str, Any], attribute: Attribute) -> list[str]:
    read = told["read_back"]
    frames = [f"{read[place]:.3g}" for place in (0, len(read) // 2, -1)]
    moved = [told.get("in_dreams", {}).get(end) for end in ("low", "high")]
    label = attribute.label
    return [f"{label.low} to {label.high}", *frames, *("" if value is None else f"{value:+.3g}" for value in moved)]
