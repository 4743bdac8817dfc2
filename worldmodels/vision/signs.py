"""Signs that a game between networks goes wrong, read from its metrics: what the lecture warns of, in sentences."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

Entries = Sequence[Mapping[str, Any]]

WINDOW = 10
"""How many of the latest training entries count."""
SAME = 0.35
"""Made images that are so much nearer to each other than real ones have collapsed."""
UNSEEN = 0.02
"""A share of real images below this is as good as none covered."""
SWING = 0.5
"""A generator's loss that changes by so much of itself from one entry to the next oscillates."""
SURE = 0.99
"""A discriminator that is right so often gives the generator nothing to go by."""
ONE_SIDED = 0.9
"""A discriminator whose accuracies on real and fake differ by more says the same of everything."""


class Remedies(NamedTuple):
    """What to do about each sign, after the colon of its sentence."""

    collapse: str = "raise vision.discriminator_rate, or lower vision.learning_rate"
    oscillation: str = "lower vision.learning_rate"
    sure: str = "lower vision.discriminator_rate"
    one_sided: str = "raise vision.discriminator_rate, or lower vision.learning_rate"


FOR_VISION = Remedies()


def signs(entries: Entries, remedies: Remedies = FOR_VISION) -> dict[str, str]:
    """What the latest entries of a `metrics.jsonl` show, each as a sentence for the person at the terminal.

    Reads `validation/spread` and `validation/coverage` (see `diversity`), `loss_generator`, `accuracy_real` and
    `accuracy_fake`; a model that does not record them shows nothing.
    """
    found = dict[str, str]()
    measured = next((entry for entry in reversed(entries) if "validation/spread" in entry), None)
    if measured is not None and collapsed(measured["validation/spread"], measured["validation/coverage"]):
        found["collapse"] = (
            f"Mode collapse at step {measured['step']:.0f}: made images are {measured['validation/spread']:.0%} as far "
            f"apart as real ones, and {measured['validation/coverage']:.0%} of the real ones have one near: "
            f"{remedies.collapse}."
        )
    played = [entry for entry in entries if "loss_generator" in entry and "accuracy_real" in entry][-WINDOW:]
    if len(played) < WINDOW:
        return found
    step = played[-1]["step"]
    swing = oscillation([entry["loss_generator"] for entry in played])
    real, fake = (sum(entry[f"accuracy_{kind}"] for entry in played) / WINDOW for kind in ("real", "fake"))
    if swing > SWING:
        found["oscillation"] = (
            f"The generator's loss oscillates at step {step:.0f}, by {swing:.0%} of itself from one entry to the "
            f"next: {remedies.oscillation}."
        )
    if min(real, fake) > SURE:
        found["sure"] = (
            f"The discriminator is right about {min(real, fake):.1%} of all images at step {step:.0f}, "
            f"and the generator learns nothing from it: {remedies.sure}."
        )
    if abs(real - fake) > ONE_SIDED:
        found["one_sided"] = (
            f"The discriminator calls nearly everything {'real' if real > fake else 'fake'} at step {step:.0f}, "
            f"and learns nothing: {remedies.one_sided}."
        )
    return found


def new_signs(entries: Entries, remedies: Remedies = FOR_VISION) -> list[str]:
    """The sentences of those signs that set in with the latest validation: the one before did not show them."""
    validations = [at for at, entry in enumerate(entries) if "validation/spread" in entry]
    before = signs(entries[: validations[-2] + 1]) if len(validations) > 1 else {}
    return [sentence for name, sentence in signs(entries, remedies).items() if name not in before]


def collapsed(spread: float, coverage: float) -> bool:
    """Whether made images are all alike, or miss nearly all that is real."""
    return spread < SAME or coverage < UNSEEN


def oscillation(losses: Sequence[float]) -> float:
    """How far a loss swings between successive entries, as a share of its mean: a trend does not count, noise does.

    It is the root of von Neumann's mean square successive difference, halved: for independent entries their standard
    deviation.
    """
    squares = [(after - before) ** 2 for before, after in pairwise(losses)]
    mean = sum(abs(loss) for loss in losses) / len(losses)
    return math.sqrt(sum(squares) / len(squares) / 2) / max(mean, 1e-12)
