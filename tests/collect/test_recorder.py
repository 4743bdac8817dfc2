import numpy as np
import pytest

from worldmodels.agent import Agent
from worldmodels.collect.recorder import Notes, Recorder
from worldmodels.config import ComputeConfig
from worldmodels.data.episode import BLOCK
from worldmodels.data.planes import FrameCompressor
from worldmodels.errors import UserError
from worldmodels.play import RandomPolicy, play

FRAME = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)


def notes() -> Notes:
    return Notes(7)


def test_notes_become_an_episode() -> None:
    taken = notes()
    for step in range(3):
        taken.see(FRAME + np.uint8(step), np.full(2, step, np.float32))
        taken.pay(step / 2)
    episode = taken.episode(terminated=True, truncated=False)
    assert (episode.seed, len(episode), episode.terminated, episode.truncated) == (7, 3, True, False)
    assert episode.actions.tolist() == [[0, 0], [1, 1], [2, 2]]
    assert episode.rewards.tolist() == [0, 0.5, 1]
    assert episode.frames[2] == FrameCompressor()(FRAME + np.uint8(2))


def test_notes_develop_what_was_seen_however_long_the_episode() -> None:
    taken, seen = Notes(7, lambda number: FRAME + number), np.zeros((), np.uint8)
    for step in range(2 * BLOCK + 1):
        seen[...] = step  # a game may show the same array again and again
        taken.see(seen, np.zeros(1, np.float32))
        taken.pay(1)
    expected = [FrameCompressor()(FRAME + np.uint8(step)) for step in range(2 * BLOCK + 1)]
    assert taken.episode(terminated=True, truncated=False).frames == expected


@pytest.mark.parametrize("reward", [np.nan, np.inf, -np.inf, 1e39, -1e300])
def test_a_reward_that_cannot_be_kept_is_refused(reward: float) -> None:
    taken = notes()
    taken.see(FRAME, np.zeros(1, np.float32))
    with pytest.raises(UserError, match="at step 0 of the episode with seed 7"):
        taken.pay(reward)


def test_a_recorded_world_is_the_world_and_keeps_its_episodes(tiny_agent: Agent) -> None:
    seeds = np.array([3, 11, 20, 34, 8])  # more than lanes: some lanes play twice
    squash, compute = tiny_agent.squash, ComputeConfig(workers=0)
    plain = play(tiny_agent.real_world(2, compute, blind=True), RandomPolicy(squash, 2), seeds)
    recorder = Recorder(tiny_agent.real_world(2, compute, blind=True))
    recorded = play(recorder, RandomPolicy(squash, 2), seeds)
    assert np.array_equal(plain.returns, recorded.returns)
    episodes = [recorder.episodes[int(seed)] for seed in seeds]
    assert [len(episode) for episode in episodes] == plain.lengths.tolist()
    assert [episode.rewards.sum() for episode in episodes] == pytest.approx(plain.returns)
    assert all(episode.terminated != episode.truncated for episode in episodes)
