"""A document in two languages, neither of which text can break out of."""

from html.parser import HTMLParser

import pytest

from worldmodels.render.document import Heading, Listing, Paragraph, Picture, Table, Video, to_html, to_markdown

EVIL = "<script>alert('x')</script> | `a` [b](c) \"q\" & *d*\n# e"
BLOCKS = [
    Heading(EVIL),
    Paragraph(EVIL),
    Paragraph(EVIL, aside=True),
    Table((EVIL, "n"), [(EVIL, "1")], notes=[(EVIL, "2")]),
    Picture(f"{EVIL}.png", EVIL),
    Video(f"{EVIL}.mp4", EVIL, gif=f"{EVIL}.gif"),
    Listing(EVIL, EVIL),
]
VOID = {"meta", "img", "link"}


class Strict(HTMLParser):
    """Notes tags, and that each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_is_well_formed_and_escaped():
    page = Strict()
    page.feed(to_html(EVIL, BLOCKS))
    assert page.open == []
    assert "script" not in page.tags
    assert "".join(page.text).count("<script>alert('x')</script>") >= len(BLOCKS)
    assert page.tags.count("video") == page.tags.count("img") == 1


def test_html_needs_nothing_from_elsewhere():
    page = to_html("t", BLOCKS)
    assert "http" not in page
    assert "<link" not in page


@pytest.mark.parametrize("block", BLOCKS[:-1], ids=lambda block: type(block).__name__)
def test_markdown_is_escaped(block):
    text = to_markdown("t", [block])
    assert "<script" not in text
    assert "\n# e" not in text
    assert "[b](c)" not in text


def test_markdown_table_keeps_its_columns():
    head, rule, *rows = to_markdown("t", [BLOCKS[3]]).split("\n\n")[1].splitlines()
    assert len(rows) == 2
    for text in (head, rule, *rows):
        assert text.replace("\\|", "").count("|") == 3


def test_listing_cannot_be_closed_from_within():
    text = to_markdown("t", [Listing("options", "a\n```\nb")])
    assert "````\na\n```\nb\n````" in text
