"""The scores of an evaluation as a table."""

from collections.abc import Sequence

from worldmodels.evaluate import Row
from worldmodels.render.document import Block, Paragraph, Table

HEADINGS = ("agent", "world", "temperature", "episodes", "mean ± std", "95 % interval", "IQM", "success", "steps")


def score_blocks(rows: Sequence[Row], notes: Sequence[tuple[str, ...]] = ()) -> list[Block]:
    """The table, with further rows set off, and what its columns mean."""
    table = Table(HEADINGS, [_cells(row) for row in rows], texts=2, notes=notes)
    meaning = Paragraph(
        "Returns of whole episodes on seeds that were used for nothing else. ± is the standard deviation over "
        "episodes; the interval is of their mean (bootstrap); IQM is the mean of the middle half. In a dream the "
        "return is the sum of the rewards that M predicts.",
        aside=True,
    )
    return [table, meaning]


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.agent,
        row.place,
        "" if row.temperature is None else f"{row.temperature:g}",
        f"{row.episodes:,}",
        f"{row.mean:.1f} ± {row.std:.1f}",
        "{:.1f} to {:.1f}".format(*row.interval),
        f"{row.iqm:.1f}",
        "" if row.success_rate is None else f"{row.success_rate:.0%}",
        f"{row.length:,.0f}",
    )
