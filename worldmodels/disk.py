"""Room on the disk: asked for before a stage starts and before it writes, so that it stops in time and can go on."""

import errno
import os
import shutil
from pathlib import Path

from torch import nn

from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError

SPARE = 32 * 2**20
"""Bytes that are left free: curves, logs and other programs write too."""
COPIES = 8
"""Bytes of a training's files as a multiple of its weights: they are kept once, with the optimiser's two moments once
to resume from, and a file is written beside the one that it replaces."""
FULL = (errno.ENOSPC, errno.EDQUOT)
FAILED = (*FULL, errno.EROFS, errno.EACCES, errno.EIO)
"""Errors of a disk that takes no more."""


def require_space(folder: Path, needed: float, what: str, compute: ComputeConfig) -> None:
    """Raise UserError if the disk that `folder` is on has less than `needed` bytes, and some to spare.

    Args:
        folder: where is to be written; need not exist yet.
        needed: an estimate, in bytes.
        what: who needs it, for the sentence, e.g. "V".
        compute: whose `check_disk` lets everybody go on regardless.
    """
    if not compute.check_disk:
        return
    free = shutil.disk_usage(next(place for place in (folder, *folder.absolute().parents) if place.exists())).free
    missing = needed + SPARE - free
    if missing > 0:
        raise UserError(
            f"{what} needs about {size(needed + SPARE)} in {folder}, and the disk has {size(free)} left: free "
            f"{size(missing)}, then repeat the command, which goes on from what is saved, or try regardless with "
            "--compute.check-disk False."
        )


def training_bytes(model: nn.Module) -> int:
    """What a training's files take on disk, an estimate."""
    return COPIES * sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def folder_bytes(folder: Path) -> int:
    """Size of all files in a folder; 0 if there is none."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def size(count: float) -> str:
    """Bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{max(count, 0) / 1e3:,.1f} kB"


def failed_write(error: BaseException) -> str | None:
    """What is to be said of a write that failed, by whatever library it was met; None for other errors."""
    number, name = getattr(error, "errno", None), getattr(error, "filename", None)
    for code in FAILED:  # Lance, safetensors and HDF5 say it in words only
        if number is None and (os.strerror(code) in str(error) or f"(os error {code})" in str(error)):
            number = code
    if number not in FAILED:
        return None
    return f"{name or 'A file of the run'} cannot be written: {os.strerror(number)}"
