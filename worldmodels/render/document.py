"""A document of headings, tables, pictures and videos, as an HTML page and as Markdown; all text is escaped."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True)
class Heading:
    """A section's title."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """Running text; `aside` marks a remark, such as that something is not yet made."""

    text: str
    aside: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first `texts` columns are text, the others numbers; `notes` are further rows, set off."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    texts: int = 1
    notes: Sequence[tuple[str, ...]] = ()


@dataclass(frozen=True)
class Picture:
    """An image by its address relative to the document, with what it shows."""

    address: str
    caption: str


@dataclass(frozen=True)
class Video:
    """A video by its address relative to the document, with what it shows and perhaps a GIF of it."""

    address: str
    caption: str
    gif: str | None = None


@dataclass(frozen=True)
class Listing:
    """Text to be shown as it is, folded away under a title."""

    title: str
    text: str


Block = Heading | Paragraph | Table | Picture | Video | Listing

CSS = """
:root { color-scheme: light dark; --ink: #1c2026; --faint: #5d6673; --paper: #fff; --line: #dfe3e8; --tint: #f5f7f9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --faint: #9aa3af; --paper: #14171b; --line: #323840; --tint: #1c2026; }
}
body { max-width: 62rem; margin: 2.5rem auto 5rem; padding: 0 1.2rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.9rem; margin-bottom: .4rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
.aside, figcaption, .note td { color: var(--faint); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { padding: .35rem .9rem .35rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
.number { text-align: right; white-space: nowrap; }
figure { margin: 1.4rem 0; }
figcaption { font-size: .9rem; margin-top: .35rem; }
img, video { max-width: 100%; height: auto; border-radius: 4px; display: block; }
img { background: #fff; }
pre { background: var(--tint); padding: 1rem; overflow-x: auto; border-radius: 4px; font-size: .85rem; }
summary { cursor: pointer; }
"""


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """A whole page, in need of nothing but the files that it names."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{CSS}</style>\n</head>\n"
        f"<body>\n<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{html.escape(text)}</h2>"
        case Paragraph(text, aside):
            return f"<p{' class=aside' if aside else ''}>{html.escape(text)}</p>"
        case Table():
            return _html_table(block)
        case Picture(address, caption):
            words = html.escape(caption)
            image = f'<img src="{quote(address)}" alt="{words}" loading="lazy">'
            return f"<figure>{image}<figcaption>{words}</figcaption></figure>"
        case Video(address, caption, _):
            return (
                f'<figure><video src="{quote(address)}" controls autoplay loop muted playsinline></video>'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )
        case Listing(title, text):
            return f"<details><summary>{html.escape(title)}</summary><pre>{html.escape(text)}</pre></details>"


def _html_table(table: Table) -> str:
    def cells(row: tuple[str, ...], tag: str) -> str:
        marks = ["" if index < table.texts else ' class="number"' for index in range(len(row))]
        return "".join(f"<{tag}{mark}>{html.escape(cell)}</{tag}>" for mark, cell in zip(marks, row, strict=True))

    rows = [f"<tr>{cells(row, 'td')}</tr>" for row in table.rows]
    rows += [f'<tr class="note">{cells(row, "td")}</tr>' for row in table.notes]
    head = f"<thead><tr>{cells(table.headings, 'th')}</tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>\n' + "\n".join(rows) + "\n</tbody></table></div>"


def to_markdown(title: str, blocks: Sequence[Block]) -> str:
    """The same document as Markdown; a video is shown by its GIF if it has one."""
    return "\n\n".join([f"# {_plain(title)}", *(_markdown(block) for block in blocks)]) + "\n"


def _plain(text: str) -> str:
    """Text whose characters mean nothing to Markdown or HTML, on one line."""
    escaped = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", " ".join(text.split()))
    return html.escape(escaped, quote=False)


def _markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_plain(text)}"
        case Paragraph(text, aside):
            return f"*{_plain(text)}*" if aside else _plain(text)
        case Table(headings, rows, texts, notes):
            rule = [":--" if index < texts else "--:" for index in range(len(headings))]
            lines = [map(_plain, headings), rule, *(map(_plain, row) for row in (*rows, *notes))]
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)
        case Picture(address, caption):
            return f"![{_plain(caption)}]({quote(address)})\n\n{_plain(caption)}"
        case Video(address, caption, gif):
            shown = f"[![{_plain(caption)}]({quote(gif)})]({quote(address)})\n\n" if gif else ""
            return f"{shown}{_plain(caption)} ([video]({quote(address)}))"
        case Listing(title, text):
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            return f"{_plain(title)}:\n\n{fence}\n{text.rstrip()}\n{fence}"
