"""What a calibration found, as tables."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from worldmodels.calibration.comparison import Entry
from worldmodels.calibration.heads import Ends, Rewards
from worldmodels.calibration.lifetimes import Lifetimes
from worldmodels.calibration.prediction import DREAMS, Error
from worldmodels.calibration.replays import Replayed
from worldmodels.calibration.sheets import Sheet


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    Attributes:
        memory: fingerprint of M's stage.
        episodes, max_steps: episodes of each player in each world, and their step limit.
        entries: how players fare; empty if M's dream is no game.
        errors: of M's predictions.
        ends, rewards: of its heads; None for a head that it does not have.
        complaints: sentences on where the dream and the game are apart.
        lifetimes: at what age players' episodes end; empty if M predicts no ends.
        replays: ends after dreams have left the game; empty if M predicts none.
    """

    memory: str
    episodes: int
    max_steps: int
    entries: list[Entry]
    errors: list[Error]
    ends: Ends | None
    rewards: Rewards | None
    complaints: list[str]
    lifetimes: list[Lifetimes] = field(default_factory=list)
    replays: list[Replayed] = field(default_factory=list)


def sheets(found: Calibration) -> list[Sheet]:
    """All tables of a calibration."""
    worlds, heads = [*_worlds(found), *_lifetimes(found.lifetimes)], [*_ends(found.ends), *_rewards(found.rewards)]
    return [*worlds, *_prediction(found.errors), *heads, *_replays(found.replays)]


def _worlds(found: Calibration) -> Iterator[Sheet]:
    if not found.entries:
        return
    played = f"{found.episodes} episodes each, of at most {found.max_steps} steps"
    note = "Mean ± standard deviation (standard error of the mean); x: the dream's mean divided by the game's."
    steps: list[Cells] = [_cells(entry, "steps") for entry in found.entries]
    yield Sheet(f"Steps survived: {played}", *_wide(found.entries, steps), note)
    if found.rewards is not None:
        returns = [_cells(entry, "returns") for entry in found.entries]
        yield Sheet(f"Returns: {played}", *_wide(found.entries, returns), note)


Cells = tuple[str, ...]


def _cells(entry: Entry, measure: str) -> Cells:
    """Cells of an entry: its mean with its spread and, of a dream, the ratio to the game's."""
    values, ratio = getattr(entry, measure), getattr(entry, f"{measure}_ratio")
    digits = 0 if abs(values["mean"]) >= 100 else 1
    mean, std, sem = (f"{values[name]:.{digits}f}" for name in ("mean", "std", "sem"))
    shown = f"{mean} ± {std} ({sem})"
    return (shown,) if entry.temperature is None else (shown, "" if ratio is None else f"{ratio:.2f}")


def _wide(entries: Sequence[Entry], cells: Sequence[Cells]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows, a player a row, empty where it has no dream; the first player has been everywhere."""
    headings, rows = ["player"], dict[str, list[str]]()
    first = entries[0].player
    for entry, shown in zip(entries, cells, strict=True):
        rows.setdefault(entry.player, [entry.player]).extend(shown)
        if entry.player == first:
            headings += ["game"] if entry.temperature is None else [f"dream, tau {entry.temperature:g}", "x"]
    return headings, [row + [""] * (len(headings) - len(row)) for row in rows.values()]


def _lifetimes(found: Sequence[Lifetimes]) -> Iterator[Sheet]:
    if not found:
        return
    ages = found[0].ages
    yield Sheet(
        "Ends in 1,000 steps, by the age of the episode",
        ["player", *(f"{low} to {high}" for low, high in pairwise(ages))],
        [
            [
                one.player if one.temperature is None else f"  the same, dream, tau {one.temperature:g}",
                *(_rate(ends, steps) for ends, steps in zip(one.ends, one.steps, strict=True)),
            ]
            for one in found
        ],
        "In brackets: how many ends. Empty: no episode came to that age.",
    )


def _rate(ends: int, steps: int) -> str:
    return f"{1000 * ends / steps:.2f} ({ends})" if steps else ""


def _prediction(errors: Sequence[Error]) -> Iterator[Sheet]:
    if not errors:
        return
    yield Sheet(
        f"Prediction error on held-out episodes, from {errors[0].moments} moments",
        ["steps ahead", "latents: M", "no change", "pixels: M", "no change", "V alone"],
        [
            [
                str(error.horizon),
                *(f"{value:.3f}" for value in (error.latent, error.latent_no_change)),
                *(f"{value:.2f}" for value in (error.pixel, error.pixel_no_change, error.pixel_vision)),
            ]
            for error in errors
        ],
        f"Root mean squared errors, of pixels in 255ths. M: its mean in {DREAMS} dreams at temperature 1 with the "
        "actions that were taken. No change: the start's latents. V alone: the true latents, decoded.",
    )


def _ends(ends: Ends | None) -> Iterator[Sheet]:
    if ends is None:
        return
    filled = [place for place in ends.bins if place.steps]
    yield Sheet(
        f"Done head on held-out episodes, {ends.steps:,} steps",
        ["probability", "steps", "predicted", "observed", "ends predicted", "ends"],
        [
            [
                f"{place.low:g} to {place.high:g}",
                f"{place.steps:,}",
                f"{place.predicted:.5f}",
                f"{place.observed:.5f}",
                f"{place.predicted * place.steps:.1f}",
                f"{place.observed * place.steps:.0f}",
            ]
            for place in filled
        ],
        f"All in all {ends.expected:.1f} ends predicted, {ends.observed} observed. Expected calibration error "
        f"{ends.calibration_error:.5f}. {ends.nats:.4f} nats a step; a head that knows only the rate of ends: "
        f"{ends.nats_rate:.4f}.",
    )


def _replays(found: Sequence[Replayed]) -> Iterator[Sheet]:
    if not found:
        return
    yield Sheet(
        "Ends in 1,000 steps after a dream has left the game, under the actions that were really taken",
        ["steps since then", "steps", "the game", "M on the game's frames", "M in its dream"],
        [
            [f"{one.begin} to {one.end}", f"{one.steps:,}", *(f"{x:.2f}" for x in (one.game, one.frames, one.dream))]
            for one in found
        ],
        "From random moments of held-out episodes. Where M expects ends on the game's frames, and fewer in its dream, "
        "what ends episodes does not come about there.",
    )


def _rewards(rewards: Rewards | None) -> Iterator[Sheet]:
    if rewards is None:
        return
    values = (rewards.expected, rewards.observed, rewards.error, rewards.error_mean)
    yield Sheet(
        "Reward head on held-out episodes",
        ["", "mean predicted", "mean paid", "error", "error of the mean"],
        [["a step", *(f"{value:.4f}" for value in values)]],
        "Errors are root mean squared; that of the mean is a head's which knows no more than the mean reward.",
    )
