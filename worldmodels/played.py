"""Episodes that were played before: kept by what was played, so that nobody plays them again."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from worldmodels.errors import UserError
from worldmodels.files import clear_unfinished, read_json, write_json
from worldmodels.play import Outcomes


class Played:
    """Outcomes in a folder, each under a key: plain data that says who played what, where, on which seeds.

    The folder is of a stage that was begun, so that nobody else writes into it: what a kill left half-written goes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        clear_unfinished(folder)

    def _path(self, key: Any) -> Path:
        return self.folder / f"{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]}.json"

    def get(self, key: Any) -> Outcomes | None:
        """What is kept under a key; UserError if it is damaged."""
        path = self._path(key)
        if not path.exists():
            return None
        played = read_json(path)
        try:
            returns, lengths, successes = (np.array(played[field]) for field in Outcomes._fields)
            outcomes = Outcomes(returns.astype(np.float64), lengths.astype(np.int64), successes.astype(bool))
            if len({column.shape for column in outcomes}) > 1 or returns.ndim != 1 or not np.isfinite(returns).all():
                raise ValueError("not one outcome an episode")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{path} is damaged: delete it, and its episodes are played again.") from error
        return outcomes

    def put(self, key: Any, outcomes: Outcomes) -> None:
        """Keep outcomes under a key."""
        self.folder.mkdir(exist_ok=True)
        write_json(self._path(key), {field: column.tolist() for field, column in outcomes._asdict().items()})
