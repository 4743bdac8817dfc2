"""Doom's screens: the engine's own colours, averaged as OpenCV averages."""

import cv2
import numpy as np
import pytest
import vizdoom as vzd

from worldmodels.envs import doom_screen
from worldmodels.envs.doom_engine import start_engine
from worldmodels.envs.doom_screen import coloured, covered, palette, task_frame

RANDOM = np.random.default_rng(0)


def opencvs(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture[:100], (64, 64), interpolation=cv2.INTER_AREA)


def random_screen() -> np.ndarray:
    return RANDOM.integers(0, 256, (120, 160), np.uint8)


def test_the_palette_is_the_engines() -> None:
    seen = []
    for screen in (vzd.ScreenFormat.RGB24, vzd.ScreenFormat.DOOM_256_COLORS8):
        game = start_engine(skill=4, time_limit=2100, labels=False, screen=screen)
        game.set_seed(3)
        game.new_episode()
        seen.append([])
        while not game.is_episode_finished():
            seen[-1].append(game.get_state().screen_buffer)
            game.make_action([0, 1])
        game.close()
    pictures, screens = map(np.stack, seen)
    assert len(np.unique(screens)) > 80
    assert np.array_equal(palette()[screens], pictures)


def test_the_task_frame_is_opencvs() -> None:
    for screen in (random_screen() for _ in range(20)):
        frame = task_frame(screen)
        assert (frame.shape, frame.dtype, frame.flags.c_contiguous) == ((64, 64, 3), np.uint8, True)
        assert np.array_equal(frame, opencvs(coloured(screen)))


@pytest.mark.parametrize("values", [range(256), (0, 255), (254, 255), (0, 1), (255,)])
def test_any_colours_are_averaged_exactly(values: tuple[int, ...]) -> None:
    for _ in range(20):
        colours = RANDOM.choice(np.array(values, np.uint8), (256, 3))
        screen = random_screen()
        averaged = doom_screen._averaged(screen, doom_screen._packed(colours))
        assert np.array_equal(averaged, opencvs(colours[screen]))


def test_a_mask_covers_a_share_of_each_pixel() -> None:
    mask = random_screen() < 100
    assert np.array_equal(covered(mask), opencvs(mask.astype(np.uint8) * 255))
    assert (covered(np.ones((120, 160), bool)) == 255).all()
