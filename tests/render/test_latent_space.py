import numpy as np
import pytest

from worldmodels.measure.reconstruction import BATCH
from worldmodels.render.latent_space import (
    PAIRS,
    SHOWN,
    STEPS,
    VIDEO_STEPS,
    Known,
    between,
    interpolation_frames,
    interpolations,
    pictures_of,
    reconstructions,
    traversals,
)


@pytest.fixture
def known() -> Known:
    """Counts as frames and as latents: the counting V's latent is the frame's brightness."""
    counts = np.linspace(10, 200, SHOWN).round().astype(np.uint8)
    frames = np.broadcast_to(counts[:, None, None, None], (SHOWN, 64, 64, 3)).copy()
    z = counts.astype(np.float32)[:, None]
    return Known(frames, z, np.linspace(0, 100, 101, dtype=np.float32)[:, None], np.zeros((101, 1), np.float32), True)


def test_any_number_of_latents_is_decoded(vision) -> None:
    z = np.arange(BATCH + 3, dtype=np.float32)[:, None]
    assert (pictures_of(vision, z)[:, 0, 0, 0] == np.arange(BATCH + 3)).all()


def test_reconstructions_stand_below_their_frames(vision, known) -> None:
    picture = reconstructions(vision, known)
    assert picture.shape == (3 * 66 - 2, SHOWN * 66 - 2, 3)
    assert np.array_equal(picture[:64], picture[66:130])
    assert (picture[132:, :64] == 0).all()  # no difference


def test_a_traversal_goes_from_end_to_end_of_the_latents(vision, known) -> None:
    picture = traversals(vision, known)
    below = picture[-64:]
    assert [int(below[32, 68 * step + 32, 0]) for step in (0, STEPS // 2, STEPS - 1)] == [1, 50, 99]


def test_dimensions_stand_in_columns(vision, known, monkeypatch) -> None:
    monkeypatch.setattr("worldmodels.render.latent_space.ROWS", 2)
    decode = vision.decode
    monkeypatch.setattr(vision, "decode", lambda z: decode(z[:, :1]))  # the others say nothing
    wide = known._replace(z=known.z.repeat(3, 1), training=known.training.repeat(3, 1))
    one, three = traversals(vision, known), traversals(vision, wide)
    assert three.shape[0] == 2 * one.shape[0] + 4
    assert three.shape[1] == 2 * one.shape[1] + 16


def test_between_two_points() -> None:
    path = between(np.zeros((2, 2), np.float32), np.full((2, 2), 4, np.float32), 5)
    assert path.shape == (5, 2, 2)
    assert path[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


def test_interpolations_lie_between_their_frames(vision, known) -> None:
    picture = interpolations(vision, known)
    assert picture.shape == (2 * PAIRS * 66 - 2, (STEPS + 2) * 66 - 2, 3)
    row = [int(picture[32, 66 * place + 32, 0]) for place in range(STEPS + 2)]
    assert row == sorted(row)
    assert row[0] == row[1]
    assert row[-1] == row[-2]


def test_without_an_encoder_there_are_no_real_ends(vision, known) -> None:
    picture = interpolations(vision, known._replace(encodes=False))
    assert picture.shape == (PAIRS * 66 - 2, STEPS * 66 - 2, 3)


def test_the_journey_comes_back(vision, known) -> None:
    shown = list(interpolation_frames(vision, known, 1))
    assert len(shown) == 4 * VIDEO_STEPS
    assert len({picture.shape for picture in shown}) == 1
    assert len(list(interpolation_frames(vision, known._replace(encodes=False), 1))) == 4 * VIDEO_STEPS
