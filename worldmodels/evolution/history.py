"""What evolution has seen, a JSON line a generation: enough to resume from, and the learning curve."""

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from worldmodels.config import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.files import whole_lines


@dataclass(frozen=True)
class Generation:
    """One generation.

    Attributes:
        generation: its number, from 0.
        fitness: mean return of each candidate.
        samples: checksum of the candidates, to notice a replay that went another way.
        steps: steps played for it.
        seconds: wall-clock time that it took, validation included.
        sigma: the optimiser's step size after it.
        validation: returns of the distribution's mean on the validation seeds, if this generation was validated.
        averaged: returns of the average of the last means on the same seeds, if that was validated too.
        rollouts: episodes a candidate; unknown in histories of versions that did not record it.
        kept: returns on the same seeds of what was kept so far, if its score was none, or of more or fewer episodes.
        scouted: returns of the distribution's mean before it, in the episodes that it scouted, if it did.
        reliability: of the candidates' returns, if that can be told (see `worldmodels.evolution.reliability`).
    """

    generation: int
    fitness: list[float]
    samples: int
    steps: int
    seconds: float
    sigma: float
    validation: list[float] | None = None
    averaged: list[float] | None = None
    rollouts: int | None = None
    kept: list[float] | None = None
    scouted: list[float] | None = None
    reliability: float | None = None

    @property
    def scores(self) -> list[float]:
        """Mean return of the distribution's mean, and of the average of the last ones, of those that were validated."""
        return [float(np.mean(returns)) for returns in (self.validation, self.averaged) if returns]

    @property
    def score(self) -> float:
        """The better one of these; minus infinity if none was validated."""
        return max(self.scores, default=-np.inf)


_GENERATION = TypeAdapter(Generation)
_FIELDS = {field.name for field in fields(Generation)}


def checksum(candidates: NDArray[np.float32]) -> int:
    """CRC-32 of candidates."""
    return zlib.crc32(np.ascontiguousarray(candidates).tobytes())


class History:
    """The generations in `history.jsonl`, appended one by one; a last line torn by a kill is dropped."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "history.jsonl"
        self.generations, length = _read(self.path)
        self._file = self.path.open("r+" if self.path.exists() else "w+")
        self._file.truncate(length)
        self._file.seek(0, os.SEEK_END)

    def append(self, entry: Generation) -> None:
        """Add a generation; it is on disk when this returns."""
        content = asdict(entry)
        self._file.write(json.dumps(content | {"crc32": _crc32(content)}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.generations.append(entry)

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def read_history(folder: Path) -> list[Generation]:
    """The generations of a controller's folder; UserError if the file is damaged before its last line."""
    return _read(folder / "history.jsonl")[0]


def _read(path: Path) -> tuple[list[Generation], int]:
    """The generations, and of how many bytes they are."""
    generations, length = list[Generation](), 0
    for number, line in enumerate(whole_lines(path)):
        try:
            generations.append(_generation(json.loads(line)))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is damaged in line {number + 1}: delete the folder to evolve again.") from error
        if generations[-1].generation != number:
            raise UserError(f"{path} lacks generation {number}: delete the folder to evolve again.")
        length += len(line.encode()) + 1
    return generations, length


def _generation(content: Any) -> Generation:
    """A line's generation; ValueError if its checksum (which old histories lack) is not that of its content."""
    entry = _GENERATION.validate_python(content)
    if content.pop("crc32", None) not in (None, _crc32(content)) or content.keys() - _FIELDS:
        raise ValueError("it is not what was written")
    return entry


def _crc32(content: dict[str, Any]) -> int:
    """CRC-32 of all of a line that does not depend on the clock."""
    return zlib.crc32(json.dumps({**content, "seconds": None}, sort_keys=True).encode())


@dataclass
class Standing:
    """What validation has found so far.

    Attributes:
        score: of the best that was validated: what the next one has to beat.
        episodes: how many the score is the mean of.
        generation: in which the best was found; None before the first validation, and while nothing beats the C of
            another run that evolution began at.
        stale: how many validations there have been since.
        keeps_last: whether each validation's score counts as the best, however low.
    """

    score: float = -np.inf
    episodes: int = 0
    generation: int | None = None
    stale: int = 0
    keeps_last: bool = False

    def take(self, entry: Generation) -> bool:
        """Go on to the next generation; returns whether it is the new best."""
        if not entry.validation:
            return False
        if entry.kept:
            self.score, self.episodes = float(np.mean(entry.kept)), len(entry.kept)
        is_best = self.keeps_last or entry.score > self.score
        if is_best:
            self.score, self.episodes, self.generation = entry.score, len(entry.validation), entry.generation
        self.stale = 0 if is_best else self.stale + 1
        return is_best


def check_keep(name: str, config: ControllerConfig) -> None:
    """Raise UserError if evolution is to stop once validation is stale, and never can be."""
    if config.keep == "last" and config.validation_patience is not None:
        raise UserError(
            f"controllers.{name}.keep: where the last mean is kept none is stale, so validation_patience would never "
            "stop evolution: leave one of them out."
        )


def standing(generations: Sequence[Generation], keeps_last: bool = False) -> Standing:
    """What validation had found after these generations."""
    result = Standing(keeps_last=keeps_last)
    for entry in generations:
        result.take(entry)
    return result
