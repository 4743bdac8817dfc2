import pickle

import numpy as np
import pytest

from worldmodels.data.episode import Episode

EPISODE = Episode(7, [b"one", b"", b"three"], np.ones((3, 2), np.float32), np.arange(3, dtype=np.float32), True, False)


@pytest.mark.parametrize("protocol", [2, pickle.DEFAULT_PROTOCOL, pickle.HIGHEST_PROTOCOL])
def test_an_episode_is_the_same_after_a_journey(protocol: int) -> None:
    there = pickle.loads(pickle.dumps(EPISODE, protocol))
    assert (there.seed, there.frames, there.terminated, there.truncated) == (7, EPISODE.frames, True, False)
    assert np.array_equal(there.actions, EPISODE.actions)
    assert np.array_equal(there.rewards, EPISODE.rewards)


def test_frames_travel_as_one_array_beside_the_rest() -> None:
    buffers = list[pickle.PickleBuffer]()
    stream = pickle.dumps(EPISODE, 5, buffer_callback=buffers.append)
    assert b"three" not in stream
    assert b"onethree" in map(bytes, buffers)
    assert pickle.loads(stream, buffers=buffers).frames == EPISODE.frames
