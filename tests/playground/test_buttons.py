"""What a person holds becomes an action of any game."""

import gymnasium as gym
import numpy as np
import pytest

from worldmodels.envs.actions import Squash, squash_for
from worldmodels.playground.buttons import KNOWN, layout_for, neutral

RACING = Squash((-1.0, 0.0, 0.0), (1.0, 1.0, 1.0), (False, False, True))
SPACES = {
    "car_racing": RACING,
    "take_cover": Squash((-1.0,), (1.0,), (False,)),
    "lunar_lander": Squash((-1.0, -1.0), (1.0, 1.0), (False, False)),
    "numbers": Squash((-2.0, 0.0, -1.0, -5.0), (2.0, 1.0, 0.0, -4.0), (False,) * 4),
    "choices": squash_for(gym.spaces.Discrete(12)),
    "groups": squash_for(gym.spaces.MultiDiscrete([3, 2])),
}


def test_steering_overrides_the_agent_there_alone():
    agent = np.array([0.3, 0.6, 0.1], np.float32)
    layout = layout_for("car_racing", RACING)
    assert np.allclose(layout.overridden(agent, ["left"]), [-1, 0.6, 0.1])
    assert np.allclose(layout.overridden(agent, ["gas", "right"]), [1, 1, 0])
    assert np.allclose(layout.overridden(agent, []), agent)
    assert np.allclose(agent, [0.3, 0.6, 0.1])


def test_the_last_pressed_wins():
    layout = layout_for("car_racing", RACING)
    assert layout.overridden(neutral(RACING), ["left", "right"])[0] == 1
    assert layout.overridden(neutral(RACING), ["right", "left"])[0] == -1


def test_unknown_buttons_do_nothing():
    assert np.array_equal(layout_for("car_racing", RACING).overridden(neutral(RACING), ["fly"]), neutral(RACING))


def test_names_belong_to_games_of_that_size():
    assert layout_for("car_racing", SPACES["take_cover"]).entries == ("action 1",)


@pytest.mark.parametrize("task", SPACES)
def test_every_button_yields_an_action_of_the_game(task):
    squash = SPACES[task]
    layout = layout_for(task, squash)
    assert len(layout.entries) == squash.dim
    assert layout.buttons
    rest = neutral(squash)
    assert squash.space.contains(rest)
    for button in layout.buttons:
        action = layout.overridden(rest, [button.name])
        assert action.dtype == np.float32
        assert squash.space.contains(action)
        if squash.choices:
            assert action.sum() == len(squash.choices)


@pytest.mark.parametrize("task", SPACES)
def test_names_and_keys_are_unambiguous(task):
    buttons = layout_for(task, SPACES[task]).buttons
    keys = [key for button in buttons for key in button.keys]
    assert len(set(keys)) == len(keys)
    assert len({button.name for button in buttons}) == len(buttons)


def test_a_choice_replaces_its_own_group_only():
    squash = SPACES["groups"]
    layout = layout_for("groups", squash)
    assert [button.label for button in layout.buttons] == ["1.1", "1.2", "1.3", "2.1", "2.2"]
    assert layout.overridden(neutral(squash), ["choice2", "choice4"]).tolist() == [0, 0, 1, 0, 1]


def test_bounds_that_are_at_rest_need_no_button():
    layout = layout_for("numbers", SPACES["numbers"])
    assert [button.sets for button in layout.buttons] == [
        ((0, -2.0),), ((0, 2.0),), ((1, 1.0),), ((2, -1.0),), ((3, -5.0),),
    ]  # fmt: skip
    assert [button.place for button in layout.buttons] == ["left", "right", "up", "row", "row"]


def test_known_layouts_stay_within_bounds():
    for task, layout in KNOWN.items():
        low, high = SPACES[task].low, SPACES[task].high
        assert all(low[entry] <= value <= high[entry] for button in layout.buttons for entry, value in button.sets)
