"""Stages in child processes that are killed at a chosen moment: just before or after something reaches the disk."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import counting  # registers the counting game and the V that reads it
import lance
import numpy as np
import small_gan
import torch
import torch._dynamo  # Adam's first step would import it, in every child anew

import worldmodels.collect.stage
import worldmodels.data.encoding
from worldmodels.calibration import check_dream
from worldmodels.collect import collect_rollouts
from worldmodels.config import Config
from worldmodels.evolution.history import History
from worldmodels.evolution.train import train_controller
from worldmodels.image_gan.train import train_image_gan
from worldmodels.iterations import next_run
from worldmodels.memory.train import train_memory
from worldmodels.runs import Run
from worldmodels.vision.train import train_vision

STAGES: dict[str, Callable[[Run], None]] = {
    "collect": collect_rollouts,
    "vision": train_vision,
    "memory": train_memory,
    "calibration": check_dream,
    "real": lambda run: train_controller(run, "real"),
    "dream": lambda run: train_controller(run, "dream"),
    "iterate": lambda run: _iterate(next_run(run, "real", run.folder / "next")),
    "image_gan": train_image_gan,
}

ASIDE = (".lock", "clock.json", "resume.safetensors", "progress.json")
"""Files beside the result; the last two stay behind if a stage is killed between its last two steps."""


def _iterate(run: Run) -> None:
    collect_rollouts(run)
    train_vision(run)
    train_memory(run)
    train_controller(run, "real")


def run_stage(folder: Path, config: Config, stage: str, kill_at: int | None = None) -> int:
    """Run a stage in a process of its own, killed at its `kill_at`-th moment; returns how many moments there were.

    Raises RuntimeError unless the process ended as it should.
    """
    moments = folder.parent / f"{folder.name}.moments"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killing"])
    child = context.Process(target=_in_child, args=(folder, config, stage, kill_at, moments))
    child.start()
    child.join(120)
    if child.is_alive():
        child.kill()
        raise RuntimeError(f"{stage} hangs: {_said(folder)}")
    if child.exitcode != (0 if kill_at is None else -signal.SIGKILL):
        raise RuntimeError(f"{stage} ended with {child.exitcode}: {_said(folder)}")
    return int(moments.read_text()) if kill_at is None else kill_at


def _said(folder: Path) -> str:
    return folder.with_suffix(".said").read_text()[-3000:]


def _in_child(folder: Path, config: Config, stage: str, kill_at: int | None, moments: Path) -> None:
    sys.stdout = sys.stderr = folder.with_suffix(".said").open("w")
    torch.set_num_threads(1)
    worldmodels.collect.stage.FLUSH_ROWS = 15
    worldmodels.data.encoding.CHUNK = 16
    small_gan.make_small()
    count = 0

    def moment() -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(module: Any, name: str) -> None:
        original = getattr(module, name)

        @wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            moment()
            result = original(*args, **kwargs)
            moment()
            return result

        setattr(module, name, watched)

    watch(os, "replace")  # every file that is written whole
    watch(lance, "write_dataset")
    watch(History, "append")
    watch(np.memmap, "flush")
    STAGES[stage](Run(folder, config))
    moments.write_text(str(count))


def contents(folder: Path) -> dict[str, object]:
    """What a stage left in its folder: its files' bytes, and rows; without clock times and TensorBoard's files."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or path.name in ASIDE or {"tensorboard", "episodes.lance"} & set(path.parts):
            continue
        found[name] = _without_clock(path) if path.suffix == ".jsonl" else path.read_bytes()
    if (folder / "episodes.lance").exists():
        found["episodes"] = lance.dataset(str(folder / "episodes.lance")).to_table().to_pylist()
    return found


def _without_clock(path: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "steps_per_second")} for line in lines]


__all__ = ["contents", "counting", "run_stage"]
