"""What evolution has seen, a JSON line a generation: enough to resume from, and the learning curve."""

import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from worldmodels.errors import UserError


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

    @property
    def score(self) -> float:
        """Mean return of the better one of the two that were validated; minus infinity if none was."""
        return max(
            (float(np.mean(returns)) for returns in (self.validation, self.averaged) if returns), default=-np.inf
        )


_GENERATION = TypeAdapter(Generation)


def checksum(candidates: NDArray[np.float32]) -> int:
    """CRC-32 of candidates."""
    return zlib.crc32(np.ascontiguousarray(candidates).tobytes())


class History:
    """The generations in `history.jsonl`, appended one by one; a last line torn by a kill is dropped."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "history.jsonl"
        self.generations = read_history(folder)
        whole = "".join(json.dumps(asdict(entry)) + "\n" for entry in self.generations)
        self._file = self.path.open("r+" if self.path.exists() else "w+")
        if self._file.read() != whole:
            self._file.truncate(len(whole.encode()))
        self._file.seek(0, os.SEEK_END)

    def append(self, entry: Generation) -> None:
        """Add a generation; it is on disk when this returns."""
        self._file.write(json.dumps(asdict(entry)) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.generations.append(entry)

    def __enter__(self) -> "History":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def read_history(folder: Path) -> list[Generation]:
    """The generations of a controller's folder; UserError if the file is damaged before its last line."""
    path = folder / "history.jsonl"
    lines = path.read_text("utf-8", "replace").split("\n") if path.exists() else [""]
    generations = []
    for number, line in enumerate(lines[:-1]):  # what follows the last line feed is empty, or torn
        try:
            entry = _GENERATION.validate_python(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is damaged in line {number + 1}: delete the folder to evolve again.") from error
        if entry.generation != number:
            raise UserError(f"{path} lacks generation {number}: delete the folder to evolve again.")
        generations.append(entry)
    return generations


def stale_validations(generations: Sequence[Generation]) -> int:
    """How many validations there have been since the best one."""
    scores = [entry.score for entry in generations if entry.validation]
    return len(scores) - 1 - int(np.argmax(scores)) if scores else 0
