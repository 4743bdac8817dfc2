"""Dreams as they are filmed."""

import dataclasses

import numpy as np
import pytest

from worldmodels.config import RenderConfig
from worldmodels.dream import DreamVectorEnv
from worldmodels.envs.actions import Squash
from worldmodels.errors import UserError
from worldmodels.render.dreams import Dream, arranged, cell, dream_in, dream_on, dream_video, held_together

SQUASH = Squash((0.0,), (3.0,), (False,))


def dream_of(memory, starts, lanes: int = 8, max_steps: int = 12) -> DreamVectorEnv:
    return DreamVectorEnv(memory, starts, SQUASH, lanes, "z", temperature=0.0, max_steps=max_steps)


def test_frames_follow_the_rule_from_the_start(memory, vision, policy, starts):
    moments = list(dream_in(dream_of(memory, starts), policy, vision, range(8)))
    assert len(moments) == 13
    counts = np.array([[dream.frame[0, 0, 0] for dream in dreams] for dreams in moments], int)  # (T, B)
    assert set(counts[0]) == {10, 20}
    for step in range(12):
        assert (counts[step + 1] == counts[step] + 1 + counts[step] % 3 + step % 2).all()
    assert {dream.step for dream in moments[-1]} == {12}
    assert all(dream.over for dream in moments[-1])
    assert not any(dream.over for dream in moments[-2])


def test_m_without_heads_has_no_score(memory, vision, policy, starts):
    first, *_ = dream_in(dream_of(memory, starts), policy, vision, range(8))
    assert {dream.score for dream in first} == {None}


def test_ended_dream_keeps_its_last_frame_and_score(mortal_memory, vision, policy, starts):
    moments = list(dream_in(dream_of(mortal_memory, starts, max_steps=100), policy, vision, range(8)))
    for lane in range(8):
        course = [dreams[lane] for dreams in moments]
        end = next(step for step, dream in enumerate(course) if dream.over)
        assert course[end].frame[0, 0, 0] > 30 >= course[end - 1].frame[0, 0, 0]
        assert course[end].score == course[end].step == end
        assert all(dream is course[end] for dream in course[end:])


def test_groups_go_on_until_the_last_has_ended():
    def group(length: int):
        for step in range(length):
            yield [Dream(np.zeros((64, 64, 3), np.uint8), step, None, step == length - 1)]

    shown = list(held_together([group(2), group(4)], steps=10))
    assert [[dreams[0].step for dreams in rows] for rows in shown] == [[0, 0], [1, 1], [1, 2], [1, 3]]
    assert len(list(held_together([group(9)], steps=3))) == 3


def test_grid_and_rows_have_their_shapes():
    dream = Dream(np.full((64, 64, 3), 200, np.uint8), 3, 1.0, False)
    grid = arranged([[dream] * 5], [1.0], scale=1, title="x")
    rows = arranged([[dream] * 5] * 2, [0.5, 1.0], scale=1, title="x")
    assert grid.shape[1] == 3 * 64 + 2 * 4
    assert rows.shape[1] == 5 * 64 + 4 * 4


def test_ended_dream_is_dimmed():
    dream = Dream(np.full((64, 64, 3), 200, np.uint8), 3, None, False)
    assert cell(dream, 2)[0, 0, 0] == 200
    assert cell(dataclasses.replace(dream, over=True), 2)[0, 0, 0] == 80


def test_same_seeds_dream_the_same(agent):
    first, second = (list(dream_on(agent, 1.0, [1, 2], max_steps=3)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert all(np.array_equal(a.frame, b.frame) for a, b in zip(one, other, strict=True))


def test_dream_without_starts_is_refused(agent, tmp_path):
    none = agent.starts._replace(**{name: tensor[:0] for name, tensor in agent.starts._asdict().items()})
    with pytest.raises(UserError, match="no start"):
        dream_video(
            dataclasses.replace(agent, starts=none), tmp_path / "x.mp4", RenderConfig(seconds=0.1), [1.0], 1, "x"
        )
    assert list(tmp_path.iterdir()) == []
