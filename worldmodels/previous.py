"""Where a run that goes on from another one, or from a checkpoint, begins: at the weights of its V, M and C."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from worldmodels.config import Part
from worldmodels.data.rollouts import squash_of
from worldmodels.envs.actions import Squash
from worldmodels.errors import UserError
from worldmodels.kept import KeptRun, is_checkpoint
from worldmodels.options import load_config
from worldmodels.runs import Run, stored_options
from worldmodels.stage import Stage


def previous_run(run: Run, part: Part | None) -> Run | None:
    """The run or the checkpoint that `previous` names; None if this part of the run begins from nothing.

    `part` is None for what goes on from it whatever begins anew.

    Raises UserError if there is neither, if its V or M is not finished, or if it is the run itself.
    """
    anew, parts = run.config.anew, get_args(Part)
    if run.config.previous is None or (anew and part and parts.index(part) >= parts.index(anew)):
        return None
    folder = Path(run.config.previous)
    if folder.resolve() == run.folder.resolve():
        raise UserError(f"previous is {run.folder} itself: a run goes on in a new --run.")
    before = KeptRun(folder, run.config) if is_checkpoint(folder) else recorded_run(folder)
    if before is None:
        raise UserError(f"previous is {folder}, and there is no run: name a finished one, or a checkpoint.")
    before.vision.summary()
    before.memory.summary()
    return before


def recorded_run(folder: Path) -> Run | None:
    """The run in a folder, with the options that it was last used with; None if there is none."""
    options = stored_options(folder)
    return Run(folder, load_config([], options)) if options else None


def previous_squash(before: Run) -> Squash | None:
    """How outputs of the previous run's C became actions; None if its rollouts, which told it, are gone."""
    if isinstance(before, KeptRun):
        return before.memory.section(Squash, "squash")
    return None if before.rollouts.done is None else squash_of(before.rollouts)


def begun_from(run: Run, part: Part | None, pick: Callable[[Run], Stage]) -> dict[str, str]:
    """For a stage's record: the fingerprint of the previous run's stage at whose weights it begins, if there is one.

    Raises UserError if that stage is not finished, or damaged.
    """
    before = previous_run(run, part)
    stage = None if before is None else pick(before)
    if stage is None or not stage.started:
        return {}
    fingerprint = stage.fingerprint()
    stage.verify()
    return {"previous": fingerprint}


def check_steps(section: str, steps: int, before: Run | None) -> None:
    """Raise UserError if nothing is to be learned, and there is nothing to be kept."""
    if steps == 0 and before is None:
        raise UserError(
            f"{section}.steps is 0, which keeps what `previous` has learned, and there is nothing: give more steps."
        )


def check_alike(before: Run, part: Part, kept: Any, asked: Any, section: str, names: Sequence[str]) -> None:
    """Raise UserError unless a part that was trained before and is to be trained on agrees in these attributes."""
    for name in names:
        old, new = getattr(kept, name), getattr(asked, name)
        if old != new:
            raise UserError(
                f"{before.folder} has {section}.{name} = {old}, and {new} is asked for: "
                f"keep {old}, or begin anew: --anew {part}."
            )
