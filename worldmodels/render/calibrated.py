"""The comparison of M's dream with the game, for the report."""

from collections.abc import Iterator

from worldmodels.calibration.report import Calibration, sheets
from worldmodels.calibration.stage import TABLE
from worldmodels.files import read_json
from worldmodels.options import typed
from worldmodels.render.document import Block, Heading, Paragraph, Table
from worldmodels.runs import Run


def calibration_blocks(run: Run) -> Iterator[Block]:
    """The tables of a run's last comparison, and what they say; UserError if they are damaged."""
    yield Heading("The dream beside the game")
    path = run.calibration.folder / TABLE
    if not path.exists():
        yield Paragraph(f"Not yet compared: run scripts/check_dream.py --run {run.folder}.", aside=True)
        return
    found = typed(Calibration, read_json(path), str(path))
    if run.memory.done is not None and found.memory != run.memory.fingerprint():
        yield Paragraph(f"Not compared since M was trained anew: run scripts/check_dream.py --run {run.folder}.", True)
        return
    for sentence in found.complaints:
        yield Paragraph(sentence)
    for sheet in sheets(found):
        yield Paragraph(f"{sheet.title}.")
        yield Table(tuple(sheet.headings), [tuple(row) for row in sheet.rows])
        yield Paragraph(sheet.note, aside=True)
