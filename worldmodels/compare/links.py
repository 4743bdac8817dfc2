"""Stages that several runs share."""

import os

from worldmodels.errors import UserError
from worldmodels.stage import Stage


def share_stage(stage: Stage, source: Stage) -> None:
    """Let a stage of one run be the finished one of another, by a link: nothing is copied.

    Raises UserError if the source is not finished, or the stage is there already and is another one.
    """
    source.summary()
    target = source.folder.resolve()
    if stage.folder.exists() or stage.folder.is_symlink():
        if stage.folder.resolve() != target:
            raise UserError(f"{stage.folder} is there already and is not {target}: use a new --run.")
        return
    stage.folder.parent.mkdir(parents=True, exist_ok=True)
    stage.folder.symlink_to(os.path.relpath(target, stage.folder.parent.resolve()))
