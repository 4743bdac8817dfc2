from pathlib import Path

import numpy as np
from PIL import Image

from worldmodels.pictures import enlarge, grid, to_bytes, write_png


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 4, 5, 3), dtype=np.uint8)


def test_frames_in_zero_to_one_become_bytes() -> None:
    assert to_bytes(np.array([-1, 0, 0.5, 1, 2.0])).tolist() == [0, 0, 128, 255, 255]
    assert (to_bytes(np.arange(256) / 255) == np.arange(256)).all()


def test_a_grid_keeps_rows_and_columns_apart() -> None:
    rows = [frames(3), frames(3, seed=1)]
    picture = grid(rows, gap=2)
    assert picture.shape == (2 * 4 + 2, 3 * 5 + 4, 3)
    assert np.array_equal(picture[6:10, 7:12], rows[1][1])
    assert (picture[4:6] == 255).all()


def test_enlarged_pixels_stay_sharp() -> None:
    picture = frames(1)[0]
    large = enlarge(picture, 3)
    assert large.shape == (12, 15, 3)
    assert np.array_equal(large[1::3, 1::3], picture)


def test_a_png_comes_back(tmp_path: Path) -> None:
    picture = frames(1)[0]
    write_png(tmp_path / "x.png", picture, scale=2)
    with Image.open(tmp_path / "x.png") as image:
        assert np.array_equal(np.asarray(image), enlarge(picture, 2))
    assert len(list(tmp_path.iterdir())) == 1
