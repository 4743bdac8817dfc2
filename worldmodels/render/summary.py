"""A run in words: what it is about, and how far each of its stages is."""

from collections.abc import Iterator, Mapping
from typing import Any

from worldmodels.config import Config, ControllerConfig
from worldmodels.runs import Run
from worldmodels.stage import Stage

NOT_BEGUN = "not begun"
UNTOLD = {"latent_dim", "action_dim", "model", "squash"}
"""Entries of a summary that are options rather than results."""


def in_words(config: Config) -> str:
    """The game, and the sizes of V, M and C."""
    task, vision, memory = config.task, config.vision, config.memory
    heads = [name for name, there in (("rewards", memory.reward_head), ("ends", memory.done_head)) if there]
    kinds = {"z": "z", "zh": "z and h", "zch": "z, c and h"}
    worlds = {
        name: "the real game" if c.world == "real" else dream_in_words(c, memory.members)
        for name, c in config.controllers.items()
    }
    controllers = "; ".join(
        f"{name}: {f'with {c.hidden} hidden units' if c.hidden else 'linear'}, by {c.optimizer}, in {worlds[name]}, "
        f"seeing {kinds[c.inputs]}, {c.population} candidates x {c.rollouts} episodes a generation"
        for name, c in config.controllers.items()
    )
    levels = getattr(vision, "levels", None)
    next_z = f"probabilities of {levels} codes" if levels else f"mixtures of {memory.mixtures} Gaussians"
    learns = task.env if task.score_env in (None, task.env) else f"{task.env}, scored in {task.score_env}"
    return (
        f"Game: {learns}. V: {vision.model}, {vision.latent_dim} latents. M: an LSTM of {memory.hidden} units, "
        + next_z
        + (f", predicting {' and '.join(heads)}" if heads else "")
        + ". "
        f"C: evolved ({controllers}). Seed {config.seed}."
    )


def dream_in_words(controller: ControllerConfig, members: int) -> str:
    """The dream that a controller is evolved in."""
    guards = {
        "none": "",
        "member": f", each moved by one of {members} Ms",
        "other": f", each moved by one of {members - 1} Ms whose state C does not see",
        "penalty": f", less {controller.disagreement:g} times what {members} Ms disagree on",
    }
    dropout = f", M without {controller.dropout:.0%} of its units" if controller.dropout else ""
    ends = ", its ends weighed" if controller.ends == "weighed" else ""
    return f"a dream of temperature {controller.temperature:g}{dropout}{ends}{guards[controller.ensemble]}"


def stage_rows(run: Run) -> list[tuple[str, ...]]:
    """A row a stage: its name, its state, what it reported, and how long it took where that is recorded."""
    stages = {
        "rollouts": run.rollouts,
        "V": run.vision,
        "latents": run.latents,
        **{run.member(number).label: run.member(number) for number in range(run.config.memory.members)},
        **{f"C ({name})": run.controller(name) for name in run.config.controllers},
    }
    return [_row(name, stage) for name, stage in stages.items()]


def _row(name: str, stage: Stage) -> tuple[str, ...]:
    done = stage.done
    state = "finished" if done else "begun" if stage.started else NOT_BEGUN
    summary = done["summary"] if done else {}
    seconds = stage.seconds()
    told = ", ".join(f"{key} {value}" for key, value in _flat(summary))
    return name, state, told, duration(seconds) if seconds else ""


def _flat(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The numbers of a nested summary, each with its name in words."""
    for key, value in summary.items():
        words = f"{prefix}{key}".replace("_", " ")
        if key in UNTOLD:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{words} ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield words, f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def duration(seconds: float) -> str:
    """A time in the two units that matter, e.g. "1 h 20 min"."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"
