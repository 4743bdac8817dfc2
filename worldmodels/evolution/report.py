"""What is written and said of a generation, and of the last ones together."""

from collections.abc import Sequence

import numpy as np

from worldmodels.config import ControllerConfig
from worldmodels.evolution.history import Generation
from worldmodels.evolution.reliability import WINDOW, is_luck
from worldmodels.metrics import Bar, MetricsLog


def report(name: str, entry: Generation, averaged: int, rate: float, log: MetricsLog, bar: Bar) -> None:
    """Write a generation of controller `name` to the log and show it.

    `averaged` is how many of the last means the average that was validated is of, `rate` the steps a second.
    """
    returns = np.array(entry.fitness)
    values = {"mean": returns.mean(), "best": returns.max(), "worst": returns.min(), "sigma": entry.sigma}
    if entry.scouted:
        values["scouted"] = np.mean(entry.scouted)
    if entry.reliability is not None:
        values["reliability"] = entry.reliability
    log.write(entry.generation + 1, **values, steps=entry.steps, steps_per_second=rate)
    if np.ptp(returns) == 0:
        bar.say(
            f"C {name}: all {len(returns)} candidates of generation {entry.generation} did "
            "equally well, so nothing was learned from it, likely because none of them came to any "
            "reward: give episodes more steps, more patience, or a larger sigma0."
        )
    if entry.validation:
        score, spread = float(np.mean(entry.validation)), float(np.std(entry.validation))
        log.write(entry.generation + 1, validation=score, validation_std=spread)
        bar.say(
            f"C {name}, {entry.generation + 1} generations: validation {score:.1f} +- {spread:.1f} "
            f"({len(entry.validation)} real episodes), population mean {returns.mean():.1f}"
        )
    if entry.averaged:
        score = float(np.mean(entry.averaged))
        log.write(entry.generation + 1, validation_averaged=score)
        bar.say(f"C {name}: the average of the last {averaged} means {score:.1f}")
    if entry.kept:
        score = float(np.mean(entry.kept))
        log.write(entry.generation + 1, validation_kept=score)
        bar.say(f"C {name}: what was kept so far {score:.1f} on these {len(entry.kept)} episodes")
    bar.advance(1, f"mean {returns.mean():.1f} best {returns.max():.1f}, {rate:,.0f} steps/s")


def say_if_luck(name: str, config: ControllerConfig, history: Sequence[Generation], bar: Bar) -> None:
    """Say so where the last generations of controller `name` were little more than luck, once for each few of them."""
    last = history[-WINDOW:]
    played = config.heat or last[-1].rollouts or 0
    reliabilities = [entry.reliability for entry in last]
    if len(history) % WINDOW == 0 and is_luck(reliabilities, config.population, played):
        bar.say(
            f"C {name}: in the last {WINDOW} generations candidates differed by little more than luck "
            f"(reliability {np.mean(np.array(reliabilities, float)):.2f}), so evolution learned little from them: "
            "take a larger step size (sigma0, sigma_schedule) or more rollouts."
        )
