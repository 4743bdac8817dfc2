"""What a page wants: the newest wish alone."""

import pytest

from worldmodels.errors import UserError
from worldmodels.playground.protocol import Begin, Do, Hold, Set
from worldmodels.playground.wishes import Wish, Wishes


@pytest.fixture
def wishes() -> Wishes:
    return Wishes(Begin("begin", temperature=0.5), ["one", "two"])


def test_they_begin_as_asked(wishes):
    assert wishes.take() == (Wish("one", 0.5, "shared", True, False, "dream"), [], 0)
    assert Wishes(Begin("begin", agent="two"), ["one", "two"]).now.agent == "two"
    with pytest.raises(UserError, match="no agent three"):
        Wishes(Begin("begin", agent="three"), ["one", "two"])


def test_only_what_is_given_changes(wishes):
    wishes.hear(Set("set", 1, playing=False, temperature=0.0))
    wishes.hear(Set("set", 2, agent="two"))
    assert wishes.now == Wish("two", 0.0, "shared", False, False, "dream")


def test_an_unknown_agent_changes_nothing(wishes):
    before = wishes.now
    with pytest.raises(UserError, match="no agent three"):
        wishes.hear(Set("set", 1, agent="three", temperature=2.0))
    assert wishes.now == before
    assert not wishes.heard.is_set()


def test_a_flood_leaves_no_more_than_its_last_wave(wishes):
    for number in range(10_000):
        wishes.hear(Hold("hold", 3 * number, (f"button {number}",)))
        wishes.hear(Do("do", 3 * number + 1, "step"))
        wishes.hear(Do("do", 3 * number + 2, "renew"))
    assert wishes.heard.is_set()
    wish, once, newest = wishes.take()
    assert (wish.held, once, newest) == (("button 9999",), ["step", "renew"], 29_999)
    assert wishes.take()[1] == []
    assert not wishes.heard.is_set()
