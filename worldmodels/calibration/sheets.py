"""Tables that are shown at the terminal and kept as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 118
"""Columns of the output where it is no terminal."""


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        title, headings, rows: what it shows; the first column holds words, the others numbers.
        note: what the numbers are.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def print_sheets(sheets: Sequence[Sheet]) -> None:
    """Tables on standard output."""
    console = Console(width=None if Console().is_terminal else WIDTH)
    for sheet in sheets:
        table = Table(title=sheet.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for number, heading in enumerate(sheet.headings):
            table.add_column(heading, justify="right" if number else "left")
        for row in sheet.rows:
            table.add_row(*row)
        console.print()
        console.print(table)
        console.print(sheet.note, style="dim", highlight=False)


def markdown(sheets: Sequence[Sheet]) -> str:
    """Tables as Markdown."""
    return "\n".join(_markdown(sheet) for sheet in sheets)


def _markdown(sheet: Sheet) -> str:
    rule = ["---", *["---:"] * (len(sheet.headings) - 1)]
    lines = [f"| {' | '.join(cells)} |" for cells in (sheet.headings, rule, *sheet.rows)]
    return "\n".join([f"## {sheet.title}", "", *lines, "", sheet.note, ""])
