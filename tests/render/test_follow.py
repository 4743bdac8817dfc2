"""Time lines up: what M expected for t is compared with t, and M's own futures begin where they should."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from worldmodels.errors import UserError
from worldmodels.pictures import to_bytes
from worldmodels.render.follow import follow_in
from worldmodels.render.open_loop import alone, compare, side_by_side, strip
from worldmodels.render.real import held, panes_of, three_panes


def brightness(frames):
    """Of frames (..., 64, 64, 3) that are all of one brightness."""
    assert (frames == frames[..., :1, :1, :1]).all()
    return frames[..., 0, 0, 0].tolist()


def test_panes_show_the_same_time(world, vision, policy):
    moments = list(follow_in(world, policy, seed=1, steps=100))
    assert [moment.step for moment in moments] == list(range(21))
    assert [moment.over for moment in moments] == [False] * 20 + [True]
    assert [moment.score for moment in moments] == [1.5 * step for step in range(21)]
    seen, kept, predicted = (brightness(pane) for pane in panes_of(vision, moments[1:]).swapaxes(0, 1))
    assert seen == kept == predicted
    assert len(set(seen)) == 20


def test_first_moment_has_no_prediction(world, vision, policy):
    (first,) = follow_in(world, policy, seed=1, steps=1)
    assert first.expected is None
    seen, kept, predicted = panes_of(vision, [first])[0]
    assert brightness(seen) == brightness(kept) == 10
    assert not np.array_equal(predicted, kept)


def test_actions_are_those_of_their_moment(world, policy):
    moments = list(follow_in(world, policy, seed=1, steps=100))
    for now, after in pairwise(moments):
        assert after.z == now.z + torch.from_numpy(now.action) + now.step % 2


@pytest.mark.parametrize("start", [0, 1, 7])
def test_m_alone_with_the_true_rule_dreams_what_came_to_pass(world, memory, policy, start):
    future = list(follow_in(world, policy, seed=1, steps=100))[start:]
    truth = torch.cat([moment.z for moment in future])
    assert torch.equal(alone(memory, future, temperature=0.0), truth)
    sampled = alone(memory, future, temperature=1.0)
    assert torch.allclose(sampled, truth, atol=0.1)  # the mixture's spread is exp(-7)
    assert not torch.equal(sampled, truth)


def test_comparison_splits_a_short_episode_in_the_middle(world, vision, memory, policy):
    found = compare(vision, memory, list(follow_in(world, policy, seed=1, steps=100)), [0.0])
    assert found.start == 10
    assert [label for label, _ in found.rows] == ["the game", "V's reconstruction", "M alone, temperature 0"]
    real, kept, dreamt = (brightness(frames) for _, frames in found.rows)
    assert real == kept == dreamt
    assert len(real) == 11


def test_comparison_needs_a_future(world, vision, memory, policy):
    with pytest.raises(UserError, match="no future"):
        compare(vision, memory, list(follow_in(world, policy, seed=1, steps=1)), [0.0])


def test_pictures_of_the_comparison(world, vision, memory, policy):
    found = compare(vision, memory, list(follow_in(world, policy, seed=1, steps=100)), [0.0, 1.0])
    picture = strip(found, scale=1)
    assert picture.dtype == np.uint8
    assert picture.shape[1] == 5 * 64 + 4 * 4  # t, t + 1, 2, 5, 10
    frames = list(side_by_side(found, scale=1, title="x"))
    assert len(frames) == 11
    assert frames[0].shape[1] == 4 * 64 + 3 * 4


def test_three_panes_are_one_picture_a_moment(world, vision, policy):
    pictures = list(three_panes(vision, follow_in(world, policy, seed=1, steps=100), scale=2, title="x"))
    assert len(pictures) == 21
    assert {picture.shape for picture in pictures} == {pictures[0].shape}
    assert pictures[0].shape[1] == 3 * 128 + 2 * 4


def test_last_picture_is_held_within_the_length():
    pictures = [to_bytes(np.full((2, 2, 3), level)) for level in (0.0, 0.5, 1.0)]
    assert [int(p[0, 0, 0]) for p in held(pictures, hold=2, most=10)] == [0, 128, 255, 255, 255]
    assert len(list(held(pictures, hold=5, most=4))) == 4
    assert list(held([], hold=5, most=4)) == []
