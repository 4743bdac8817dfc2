"""A run's agent as a folder of its own, to be kept and shared."""

import os
import shutil
from pathlib import Path

import torch

from worldmodels.agent import agent_of_run
from worldmodels.disk import folder_bytes, size
from worldmodels.errors import UserError
from worldmodels.metrics import say
from worldmodels.render.card import CARD, model_card
from worldmodels.runs import Run
from worldmodels.temporary import owner, sweep


def export_agent(run: Run, name: str, to: Path, half: bool = True, note: str = "") -> None:
    """Write the run's agent as a checkpoint: weights as safetensors, options as JSON, and a model card.

    With `half`, V, M and the starts of dreams are kept in float16: half the size; `evaluate.py --checkpoint` tells what
    rounding costs. C stays float32. `note` is added to what the card says of the agent's making.

    Raises:
        UserError: the controller is not finished, or the folder `to` exists or cannot be made.
    """
    agent = agent_of_run(run, name)
    unfinished = _begin(to)
    try:
        agent.save(unfinished, torch.float16 if half else torch.float32)
        (unfinished / CARD).write_text(model_card(run, name, str(to), note), encoding="utf-8")
        os.replace(unfinished, to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    say(f"Wrote {to}: {size(folder_bytes(to))}")


def _begin(to: Path) -> Path:
    """A folder beside the one that is to be made, to be written first."""
    unfinished = to.with_name(f".{to.name}.{owner()}.tmp")
    try:
        if to.exists():
            raise UserError(f"{to} exists: give a folder that does not, with --to.")
        sweep(to.parent, f".{to.name}.")  # what was killed while it wrote
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"The folder {to} cannot be made: {error.strerror}; give another one with --to.") from error
    return unfinished
