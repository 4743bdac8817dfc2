"""Text on pictures."""

import numpy as np
import pytest

from worldmodels.render.layout import captioned, column, labelled, row
from worldmodels.render.overlay import BACKGROUND, dimmed, font, line, write_on


def inked(picture):
    """Columns that hold more than background."""
    return np.flatnonzero((picture != BACKGROUND).any((0, 2)))


@pytest.mark.parametrize(("align", "side"), [("left", 0), ("centre", 1), ("right", 2)])
def test_text_stands_where_it_should(align, side):
    columns = inked(line("score", 300, 12, align))
    assert len(columns)
    assert (columns.mean() // 100) == side


def test_long_text_is_shrunk_to_fit():
    columns = inked(line("a text that is far too long for so narrow a line", 160, 16))
    assert columns[0] > 0
    assert columns[-1] < 159


def test_digits_are_equally_wide():
    assert len({font(16).getlength(digit) for digit in "0123456789 "[:10]}) == 1


def test_write_on_leaves_the_rest_of_the_picture():
    picture = np.full((64, 128, 3), 200, np.uint8)
    written = write_on(picture, "reward 3.0", 12)
    assert (picture == 200).all()
    assert (written[:40] == 200).all()
    assert (written[50:] != 200).any()


def test_layout_adds_up():
    pane = np.full((10, 20, 3), 9, np.uint8)
    assert row([pane] * 3, gap=4).shape == (10, 68, 3)
    assert column([pane, row([pane] * 2)], gap=4).shape == (24, 44, 3)
    assert labelled([pane, pane], ["a", "b"], 10).shape == (27, 44, 3)
    assert captioned(pane, "a", "b", 10).shape == (27, 20, 3)
    assert (dimmed(pane, 0.5) == 4).all()
