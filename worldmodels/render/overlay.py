"""Text on pictures, drawn at the size at which it is seen."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worldmodels.pictures import Frames

BACKGROUND = (17, 19, 23)
TEXT = (232, 234, 238)
FAINT = (150, 156, 166)
LINE = 1.7
"""Height of a line of text in units of the font's size."""
Align = Literal["left", "centre", "right"]
_ANCHORS = {"left": "lm", "centre": "mm", "right": "rm"}


@lru_cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, whose digits are all equally wide, so that counters do not wobble; it comes with matplotlib."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size)


def fitting(text: str, width: int, size: int) -> int:
    """The largest font size, `size` at most, at which a line is no wider than `width` pixels."""
    return max(6, min(size, int(size * width / max(1.0, font(size).getlength(text)))))


@lru_cache(maxsize=256)
def line(text: str, width: int, size: int, align: Align = "left", faint: bool = False) -> Frames:
    """A line of text on the background, (size * LINE, width, 3); too long a text is drawn smaller."""
    height, margin = round(size * LINE), size // 2
    image = Image.new("RGB", (width, height), BACKGROUND)
    across = {"left": margin, "centre": width // 2, "right": width - margin}[align]
    ImageDraw.Draw(image).text(
        (across, height / 2),
        text,
        fill=FAINT if faint else TEXT,
        font=font(fitting(text, width - 2 * margin, size)),
        anchor=_ANCHORS[align],
    )
    return np.asarray(image)


def beside(left: str, right: str, width: int, size: int) -> Frames:
    """A line with one text at its left end and one at its right."""
    return np.concatenate([line(left, width - width // 2, size), line(right, width // 2, size, "right", True)], axis=1)


def write_on(picture: Frames, text: str, size: int) -> Frames:
    """A copy of a picture (H, W, 3) with a text in its lower left corner, on a dark, translucent box."""
    image = Image.fromarray(picture)
    size = fitting(text, picture.shape[1] - size, size)
    margin = size // 3
    height = round(font(size).getbbox("0g")[3] + margin)
    box = Image.new("RGBA", (round(font(size).getlength(text)) + 2 * margin, height), (*BACKGROUND, 170))
    ImageDraw.Draw(box).text((margin, height / 2), text, fill=TEXT, font=font(size), anchor="lm")
    image.paste(box, (0, picture.shape[0] - height), box)
    return np.asarray(image)


def dimmed(picture: Frames, share: float = 0.4) -> Frames:
    """The picture at a share of its brightness."""
    return np.rint(picture * share).astype(np.uint8)
