"""Messages: every kind is understood, everything else is refused by a sentence."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiting import decoded

from worldmodels.errors import UserError
from worldmodels.playground.protocol import Begin, Do, Hold, Seen, Set, frame_message, understood

ALL = {"agent": "a", "temperature": 0, "mode": "human", "playing": False, "game": True, "watches": "game"}
GOOD = [
    ({"type": "begin"}, Begin("begin")),
    ({"type": "begin", "seed": 3, **ALL}, Begin("begin", "a", 3, 0.0, "human", False, True, "game")),
    ({"type": "set", "id": 1, "temperature": 1.3}, Set("set", 1, temperature=1.3)),
    ({"type": "set", "id": 2, **ALL}, Set("set", 2, "a", 0.0, "human", False, True, "game")),
    ({"type": "hold", "id": 3, "buttons": ["left", "gas"]}, Hold("hold", 3, ("left", "gas"))),
    *(
        ({"type": "do", "id": 4, "what": what}, Do("do", 4, what))
        for what in ("step", "restart", "renew", "from_game", "record", "stop")
    ),
    ({"type": "seen", "frame": 9}, Seen("seen", 9)),
]

BAD = [
    "", "{", "null", "[]", '"set"', "{}", '{"type": "fly"}', '{"type": 3}', "\x00", "[" * 3000,
    '{"type": "set", "id": 1, "temperature": NaN}',
    '{"type": "set", "id": 1, "temperature": 1e999}',
    '{"type": "set", "id": 1, "temperature": -1}',
    '{"type": "set", "id": 1, "temperature": 5.1}',
    '{"type": "set", "id": 1, "temperature": "1"}',
    '{"type": "set", "id": 1, "playing": 1}',
    '{"type": "set", "id": 1, "mode": "nobody"}',
    '{"type": "set", "id": 1, "speed": 3}',
    '{"type": "set", "temperature": 1}',
    '{"type": "set", "id": -1}',
    '{"type": "set", "id": 99999999999999999999}',
    '{"type": "hold", "id": 1, "buttons": "left"}',
    '{"type": "hold", "id": 1, "buttons": [1]}',
    json.dumps({"type": "hold", "id": 1, "buttons": ["left"] * 17}),
    json.dumps({"type": "hold", "id": 1, "buttons": ["l" * 201]}),
    '{"type": "do", "id": 1, "what": "crash"}',
    '{"type": "seen"}',
    '{"type": "begin", "seed": 1.5}',
    json.dumps({"type": "begin", "agent": "a" * 5000}),
    None,
]  # fmt: skip


@pytest.mark.parametrize(("message", "meaning"), GOOD)
def test_messages_are_understood(message, meaning):
    assert understood(json.dumps(message)) == meaning


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_whatever_else_is_refused_by_one_short_sentence(text):
    with pytest.raises(UserError, match=r"^This message .*\.$") as refusal:
        understood(text)
    assert len(str(refusal.value)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
KINDS = {"type": st.sampled_from(["begin", "set", "hold", "do", "seen"])}
FIELDS = dict.fromkeys(("id", "buttons", "what", "agent", "frame", "temperature", "seed"), JSON)


@given(st.text() | JSON.map(json.dumps) | st.fixed_dictionaries(KINDS, optional=FIELDS).map(json.dumps))
def test_nothing_but_a_sentence_comes_of_noise(text):
    with contextlib.suppress(UserError):
        understood(text)


def test_a_frame_message_reads_back():
    z, doubt = np.arange(5, dtype=np.float32), np.ones(5, np.float32)
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    got = decoded(frame_message({"step": 3, "name": "ü"}, [z, doubt], [picture, 255 - picture]))
    assert (got.header["step"], got.header["name"]) == (3, "ü")
    assert np.array_equal(got.arrays, [z, doubt])
    assert np.array_equal(got.pictures, [picture, 255 - picture])
