"""What is compared: which of a run's measures and scores, in which unit, and what they are held against."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from worldmodels.compare.statistics import Better
from worldmodels.envs.state import Label
from worldmodels.evaluate import RANDOM

Found = Mapping[str, Any]
AHEAD = ("1", "5", "20")
"""Steps ahead that the table shows."""


@dataclass(frozen=True)
class Measure:
    """A row.

    Attributes:
        group, title: what it is called.
        better: what is wanted of it.
        path: where it is found in a run's measures and scores.
        scale: factor to the unit of the title.
        reference: where the value is found that it is held against; () if there is none.
        held_against: what that value is, in words.
    """

    group: str
    title: str
    better: Better
    path: tuple[str, ...]
    scale: float = 1.0
    reference: tuple[str, ...] = ()
    held_against: str = ""

    @property
    def name(self) -> str:
        """A name that no other row has."""
        return ".".join(self.path)

    def of(self, found: Found) -> float | None:
        """The value of a run; None if it has none."""
        return _number(found, self.path, self.scale)

    def reference_of(self, found: Found) -> float | None:
        """The value that it is held against, from the same run."""
        return _number(found, self.reference, self.scale) if self.reference else None


def _number(found: Any, path: Iterable[str], scale: float) -> float | None:
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return None if found is None else scale * float(found)


def table_rows(objects: str | None, labels: Iterable[Label], controllers: Iterable[str]) -> list[Measure]:
    """All rows for a game whose small objects, labels and controllers these are."""
    return [*_pictures(objects), *_samples(), *_probes(labels), *_predictions(), *_scores(controllers)]


def _pictures(objects: str | None) -> list[Measure]:
    group, average = "reconstruction, squared error x 1000", "the average training frame"
    parts = {"frame": "whole frames"}
    if objects is not None:
        parts |= {"objects": objects, "elsewhere": f"all but {objects}"}
    return [
        Measure(
            group, title, "lower", ("reconstruction", "vision", part), 1000.0,
            ("reconstruction", "average_frame", part), average,
        )
        for part, title in parts.items()
    ]  # fmt: skip


def _samples() -> list[Measure]:
    rows: list[Measure] = []
    kinds = {
        "prior": "samples of the prior",
        "fitted": "samples of a Gaussian fitted to latents",
        "reconstructions": "reconstructions",
    }
    for kind, group in kinds.items():
        scores: dict[str, tuple[str, Better]] = {
            "kid": ("kernel distance", "lower"),
            "precision": ("precision", "higher"),
            "recall": ("recall", "higher"),
        }
        for key, (title, better) in scores.items():
            rows.append(
                Measure(
                    group, title, better, ("samples", kind, key), 1.0, ("samples", "real", key), "real held-out frames"
                )
            )
    return rows


def _probes(labels: Iterable[Label]) -> list[Measure]:
    group = "linear probe of z, R^2 on held-out episodes"
    return [Measure(group, label.name.replace("_", " "), "higher", ("probes", label.name)) for label in labels]


def _predictions() -> list[Measure]:
    group, ahead = "M on this V", ("prediction", "ahead")
    likelihood = [
        Measure(
            group, "negative log-likelihood, nats a dimension (each V's own unit)", "neither", ("prediction", "nll")
        ),
        Measure(group, "information that the past gives, nats a frame", "higher", ("prediction", "gain")),
    ]
    pictures = [
        Measure(
            group, f"picture {steps} step{'s' * (steps != '1')} ahead, error in 255ths", "lower",
            (*ahead, steps, "pixel"), 1.0, (*ahead, steps, "pixel_no_change"), "nothing changes",
        )
        for steps in AHEAD
    ]  # fmt: skip
    return likelihood + pictures


def _scores(controllers: Iterable[str]) -> list[Measure]:
    group = "score in the game"
    return [
        Measure(group, f"C ({name})", "higher", ("scores", name), 1.0, ("scores", RANDOM), RANDOM)
        for name in controllers
    ]
