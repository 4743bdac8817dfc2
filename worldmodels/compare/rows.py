"""The rows of the comparison: every value of every training, and what comes of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worldmodels.compare.measures import Measure, table_rows
from worldmodels.compare.statistics import Estimate, estimates
from worldmodels.data.labels import Labels


@dataclass(frozen=True)
class Result:
    """What one training of one model gave: its measures, and the scores of its controllers."""

    model: str
    seed: int
    found: dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row of the table: a measure, its value for each training, and what comes of those.

    Attributes:
        measure: what it is.
        values: by model, in the order of the seeds.
        estimates: by model.
        reference: what they are held against, a mean over all trainings; None if there is none.
    """

    measure: Measure
    values: dict[str, list[float]]
    estimates: dict[str, Estimate]
    reference: float | None


def rows_of_table(
    labels: Labels | None, controllers: Sequence[str], names: Sequence[str], results: Sequence[Result]
) -> list[Row]:
    """All rows that have a value of any model."""
    objects, known = (None, ()) if labels is None else (labels.objects, labels.labels)
    rows = []
    for measure in table_rows(objects, known, controllers):
        values: dict[str, list[float]] = {name: [] for name in names}
        references = []
        for result in results:
            if (value := measure.of(result.found)) is not None:
                values[result.model].append(value)
            if (reference := measure.reference_of(result.found)) is not None:
                references.append(reference)
        if any(values.values()):
            mean = float(np.mean(references)) if references else None
            rows.append(Row(measure, values, estimates(values, measure.better), mean))
    return rows
