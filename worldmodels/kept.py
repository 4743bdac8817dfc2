"""A checkpoint in a run's place: V, M and C to go on from, as finished stages."""

from pathlib import Path
from typing import Any

from worldmodels.errors import UserError
from worldmodels.files import file_digest, read_json
from worldmodels.records import check_schema
from worldmodels.runs import Run
from worldmodels.stage import Stage

OPTIONS, CONTROLLER = "config.json", "controller.safetensors"
VISION, MEMORY, STARTS = "vision.safetensors", "memory.safetensors", "starts.safetensors"
"""A checkpoint's files, which but for the options have the names that they have in a run."""


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds an agent as `export_agent.py` writes it."""
    return (folder / OPTIONS).is_file()


class KeptStage(Stage):
    """What a checkpoint keeps of a stage: its weights, and its options among those of the others."""

    RECORD = OPTIONS

    def __init__(self, folder: Path, label: str, weights: str) -> None:
        super().__init__(folder, label, "scripts/export_agent.py")
        self.weights = folder / weights

    @property
    def done(self) -> dict[str, Any]:
        """A record like a run's, whose fingerprint is that of the weights; UserError if they are missing."""
        if not self.weights.is_file():
            raise UserError(f"{self.weights} is missing: the checkpoint {self.folder} is not whole.")
        return {"fingerprint": file_digest(self.weights)[:16], "summary": {}}

    def _record(self) -> dict[str, Any]:
        sections = read_json(self.folder / OPTIONS)
        check_schema(sections.get("schema"), self.folder / OPTIONS)
        return {"options": sections, "upstream": {}}


class KeptRun(Run):
    """A checkpoint as the run that it was written from: V, one M, and one C, under whatever name it is asked for."""

    @property
    def vision(self) -> Stage:
        """V."""
        return KeptStage(self.folder, "V", VISION)

    def member(self, number: int) -> Stage:
        """M; a checkpoint keeps no further ones."""
        return super().member(number) if number else KeptStage(self.folder, "M", MEMORY)

    def controller(self, name: str) -> Stage:
        """C."""
        return KeptStage(self.folder, f"The controller {name}", CONTROLLER)
