"""A run's agent as a folder of its own, to be kept and shared."""

import os
import shutil
from pathlib import Path

from worldmodels.agent import agent_of_run
from worldmodels.errors import UserError
from worldmodels.metrics import say
from worldmodels.runs import Run


def export_agent(run: Run, name: str, to: Path) -> None:
    """Write the run's agent as a checkpoint: weights as safetensors, options as JSON.

    Raises:
        UserError: the controller is not finished, or the folder `to` exists.
    """
    agent = agent_of_run(run, name)
    if to.exists():
        raise UserError(f"{to} exists: give a folder that does not, with --to.")
    unfinished = to.with_name(f".{to.name}.{os.getpid()}.tmp")
    try:
        agent.save(unfinished)
        os.replace(unfinished, to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    say(f"Wrote {to}: {sum(file.stat().st_size for file in to.iterdir()) / 1e6:.1f} MB")
