"""Visits over a WebSocket: every message and what it does, who is let in, and that nothing ends the server."""

import asyncio
import io
import time

import av
import numpy as np
import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from visiting import ORIGIN, VISIT, Caller

from worldmodels.playground import app as app_module
from worldmodels.playground import beside, outlet, visit
from worldmodels.playground.app import Playground
from worldmodels.playground.scene import Dream, Game


def call(client):
    return client.websocket_connect(VISIT, headers={"origin": ORIGIN})


def same(one, other):
    return np.array_equal(one.pictures, other.pictures) and np.array_equal(one.arrays, other.arrays)


def test_the_server_introduces_its_agents(caller):
    caller.begin()
    hello = caller.hear("hello")
    assert [agent["name"] for agent in hello["agents"]] == ["dreamer", "mortal"]
    first = hello["agents"][0]
    assert (first["task"], first["fps"], first["mixtures"]) == ("counting", 100.0, 5)
    assert first["entries"] == [{"name": "action 1", "low": -1.0, "high": 1.0}]
    assert [button["place"] for button in first["buttons"]] == ["left", "right"]


def test_a_visit_begins_as_asked(caller):
    got = caller.begin(agent="mortal", seed=5, temperature=0.5)
    assert {name: got.header[name] for name in ("agent", "seed", "temperature", "frame", "dropped", "input")} == {
        "agent": "mortal", "seed": 5, "temperature": 0.5, "frame": 1, "dropped": 0, "input": 0,
    }  # fmt: skip
    assert got.header["dream"] == {"step": 0, "reward": None, "total": 0.0, "over": False, "done": None}
    assert (got.header["game"], got.header["entropy"], got.header["recording"]) == (None, None, None)
    assert [len(array) for array in got.arrays] == [4, 4]
    assert got.pictures[0].std() > 0


def test_playing_goes_on_by_itself_and_pausing_stops_it(caller):
    caller.begin(playing=True)
    frames = [caller.frame() for _ in range(10)]
    steps = [frame.header["dream"]["step"] for frame in frames]
    assert steps == sorted(set(steps))
    assert not same(frames[0], frames[-1])
    paused = caller.ask("set", playing=False)
    again = caller.ask("set", temperature=0.7)
    assert same(paused, again)
    assert again.header["temperature"] == 0.7
    assert caller.step().header["dream"]["step"] == paused.header["dream"]["step"] + 1


def test_a_visit_is_a_function_of_its_seed_and_inputs(client):
    def visited():
        with call(client) as socket:
            caller = Caller(socket)
            frames = [caller.begin(), caller.step(3)]
            caller.ask("hold", buttons=["entry0high"])
            frames.append(caller.step(2))
            caller.ask("set", temperature=2.5)
            frames.append(caller.step(2))
            return frames

    one, other = visited(), visited()
    for a, b in zip(one, other, strict=True):
        assert same(a, b)
        assert {**a.header, "frame": 0} == {**b.header, "frame": 0}


def test_restart_repeats_and_renew_does_not(caller):
    first = caller.begin()
    third = caller.step(3)
    assert same(caller.ask("do", what="restart"), first)
    assert same(caller.step(3), third)
    new = caller.ask("do", what="renew")
    assert new.header["seed"] == first.header["seed"] + 1
    assert new.header["dream"]["step"] == 0
    assert not same(new, first)


@pytest.mark.parametrize("mode", ["agent", "shared", "human"])
def test_who_drives(caller, mode):
    caller.begin(mode=mode)
    free = caller.step().header
    held = caller.ask("hold", buttons=["entry0high"])
    assert held.header["held"] == ["entry0high"]
    pressed = caller.step().header
    caller.ask("hold", buttons=[])
    let_go = caller.step().header
    expected = {
        "agent": [free["proposed"], pressed["proposed"], let_go["proposed"]],
        "shared": [free["proposed"], [1.0], let_go["proposed"]],
        "human": [[0.0], [1.0], [0.0]],
    }[mode]
    assert [free["action"], pressed["action"], let_go["action"]] == expected


def test_the_temperature_acts_on_the_next_step(caller):
    caller.begin(temperature=0.0)
    assert caller.step().header["entropy"] == 0
    caller.ask("set", temperature=5.0)
    assert caller.step().header["entropy"] > 1


def test_another_agent_takes_over(caller):
    caller.begin()
    caller.step(2)
    got = caller.ask("set", agent="mortal")
    assert (got.header["agent"], got.header["dream"]["step"]) == ("mortal", 0)
    ended = caller.step()
    assert ended.header["dream"]["over"]
    assert ended.header["resting"]
    assert caller.step().header["dream"]["step"] == 1


def test_a_dream_that_ended_is_followed_by_another(caller, monkeypatch):
    monkeypatch.setattr(visit, "REST", 0.05)
    caller.begin(agent="mortal", playing=True)
    caller.until(lambda header: header["dream"]["over"])
    caller.until(lambda header: header["seed"] == 8)


def test_whoever_presses_keys_after_the_end_waits_no_longer(caller, monkeypatch):
    monkeypatch.setattr(visit, "REST", 0.3)
    caller.begin(agent="mortal", playing=True)
    caller.until(lambda header: header["dream"]["over"])
    began, seed = time.monotonic(), 7
    while seed == 7:
        seed = caller.ask("hold", buttons=["left"] if int(20 * time.monotonic()) % 2 else []).header["seed"]
        assert time.monotonic() - began < 10
        time.sleep(0.01)


def test_the_game_runs_beside_the_dream_under_the_same_actions(caller):
    caller.begin(seed=8)
    got = caller.ask("set", game=True)
    assert got.header["game"]["step"] == got.header["dream"]["step"] == 0
    assert got.header["game"]["apart"] == pytest.approx(0, abs=1e-5)
    caller.ask("hold", buttons=["entry0high"])
    for step in range(1, 4):
        got = caller.step()
        count, action = got.pictures[1][0, :2, 0]
        assert (count, action) == (step, 200)  # the counting game shows its step, and the action it was played
        assert got.header["game"]["step"] == got.header["dream"]["step"] == step
        assert got.header["game"]["apart"] > 0
    gone = caller.ask("set", game=False)
    assert gone.header["game"] is None
    assert len(gone.pictures) == 1


def test_dreaming_on_from_the_games_present_frame(caller):
    caller.begin(seed=8, game=True)
    caller.step(3)
    got = caller.ask("do", what="from_game")
    assert (got.header["game"]["step"], got.header["dream"]["step"]) == (3, 0)
    assert got.header["game"]["apart"] == pytest.approx(0, abs=1e-5)
    assert caller.step().header["game"]["step"] == 4


def test_there_is_nothing_to_dream_on_from_without_a_game(caller):
    caller.begin()
    caller.ask("do", what="from_game")
    assert "not running" in caller.hear("problem")["text"]


def test_the_agent_watches_either_world(caller):
    caller.begin(game=True, seed=8, mode="agent", temperature=3.0)
    caller.step(3)
    proposals = []
    for world in ("dream", "game"):
        caller.ask("do", what="restart")
        caller.ask("set", watches=world)
        proposals.append(caller.step(4).header["proposed"])
    assert proposals[0] != proposals[1]


def test_a_game_that_ends_stands_still(caller):
    caller.begin(game=True, seed=1)  # two steps long
    got = caller.step(4)
    assert got.header["game"]["over"]
    assert (got.header["game"]["step"], got.header["dream"]["step"]) == (2, 4)
    caller.ask("set", watches="game")
    assert caller.step().header["dream"]["step"] == 4


@pytest.mark.parametrize("moment", ["__init__", "begin", "step"])
def test_a_game_that_crashes_is_a_sentence(caller, monkeypatch, moment):
    def crash(*arguments):
        raise RuntimeError("the engine died")

    monkeypatch.setattr(Game, moment, crash)
    caller.begin()
    caller.ask("set", game=True)
    got = caller.step()
    assert "the engine died" in caller.hear("problem")["text"]
    assert caller.hear("changed") == {"type": "changed", "game": False}
    assert caller.step().header["dream"]["step"] == got.header["dream"]["step"] + 1


def test_a_game_that_hangs_is_given_up(caller, monkeypatch):
    import threading

    gate = threading.Event()
    monkeypatch.setattr(beside, "DEADLINE", 0.2)
    monkeypatch.setattr(Game, "step", lambda *_: gate.wait(30))
    caller.begin(game=True)
    caller.step()
    gate.set()
    assert "not answered" in caller.hear("problem")["text"]


def test_a_dream_that_breaks_off_is_a_sentence(caller, monkeypatch):
    def broken(*arguments):
        raise ValueError("M is broken")

    caller.begin()
    with monkeypatch.context() as patch:
        patch.setattr(Dream, "step", broken)
        caller.step()
        assert "M is broken" in caller.hear("problem")["text"]
        assert caller.hear("changed") == {"type": "changed", "playing": False}
    assert caller.step().header["dream"]["step"] == 1


def test_recordings_can_be_taken_home(client, caller):
    caller.begin()
    caller.ask("do", what="record")
    assert caller.step(12).header["recording"] == 0.12
    assert caller.ask("do", what="stop").header["recording"] is None
    done = caller.hear("recording")
    assert done["seconds"] == 0.12
    for kind, media in (("gif", "image/gif"), ("mp4", "video/mp4")):
        answer = client.get(f"/recordings/{done['address']}.{kind}")
        assert answer.headers["content-type"] == media
        assert f"dream.{kind}" in answer.headers["content-disposition"]
        assert len(answer.content) == done["sizes"][kind]
    with av.open(io.BytesIO(answer.content)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 12
    assert client.get(f"/recordings/{done['address']}.exe").status_code == 404
    assert client.get("/recordings/guess.gif").status_code == 404


def test_a_recording_ends_by_itself(caller, monkeypatch):
    monkeypatch.setattr("worldmodels.playground.recorder.MAX_SECONDS", 0.05)
    caller.begin()
    caller.ask("do", what="record")
    caller.step(7)
    assert caller.hear("recording")["seconds"] == 0.05


def test_recording_a_standstill_is_refused(caller):
    caller.begin()
    caller.ask("do", what="record")
    caller.ask("do", what="stop")
    assert "Nothing was recorded" in caller.hear("problem")["text"]


def test_recordings_go_with_their_visit(client):
    with call(client) as socket:
        caller = Caller(socket)
        caller.begin()
        caller.ask("do", what="record")
        caller.step()
        caller.ask("do", what="stop")
        address = caller.hear("recording")["address"]
    assert client.get(f"/recordings/{address}.gif").status_code == 404


@pytest.mark.parametrize(
    "text", ["", "{", "null", b"\x00\x01", '{"type":"begin"}', '{"type":"set","id":1,"agent":"x"}']
)
def test_what_is_not_understood_is_answered_and_the_dream_goes_on(caller, text):
    caller.begin()
    caller.send(text)
    assert caller.hear("problem")["text"].endswith(".") or caller.told
    assert caller.step().header["dream"]["step"] == 1


def test_a_visit_has_to_begin_with_begin(caller):
    caller.send('{"type": "set", "id": 1}')
    assert "begin" in caller.hear("problem")["text"]
    caller.send('{"type": "begin", "agent": "nobody"}')
    assert "There is no agent nobody" in caller.hear("problem")["text"]
    assert caller.begin().header["frame"] == 1


def test_a_page_that_says_nothing_is_sent_away(client, monkeypatch):
    monkeypatch.setattr(app_module, "FIRST_WORD", 0.05)
    with call(client) as socket:
        assert socket.receive_json()["type"] == "hello"
        assert "did not say" in socket.receive_json()["text"]
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()


def test_a_page_that_takes_nothing_in_gives_its_place_to_another(client, monkeypatch):
    monkeypatch.setattr(outlet, "PATIENCE", 0.2)
    monkeypatch.setattr(app_module, "LAST_WORD", 0.2)

    async def stuck(socket, content):
        await asyncio.Event().wait()

    with call(client) as one, call(client) as two:
        Caller(one).begin()
        with monkeypatch.context() as patched:
            patched.setattr(WebSocket, "send_bytes", stuck)
            patched.setattr(WebSocket, "close", stuck)
            two.receive_json()
            two.send_json({"type": "begin"})
            time.sleep(1)
        with call(client) as third:
            assert Caller(third).begin().header["frame"] == 1


def test_there_is_room_for_so_many(client):
    with call(client) as one, call(client) as two:
        first, second = Caller(one), Caller(two)
        assert not same(first.begin(seed=1), second.begin(seed=2))
        with call(client) as third:
            assert third.receive_json() == {"type": "full", "text": "The dream is full: it takes 2 visitors at once."}
            with pytest.raises(WebSocketDisconnect) as closed:
                third.receive_json()
            assert closed.value.code == 1013
        assert first.step().header["dream"]["step"] == 1
    with call(client) as again:
        assert Caller(again).begin().header["frame"] == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:8001"},
        {"origin": "http://localhost"},
        {"origin": "file://"},
        {"origin": "http://[::1"},
        {"origin": "http://evil.example:8000", "host": "evil.example:8000"},
    ],
)
def test_other_pages_are_refused(client, headers):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(VISIT, headers=headers):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:9", "10.0.0.7:81", "my-box:8000"])
def test_own_names_are_known(cast, host):
    with TestClient(Playground(cast, 1).app(["My-Box"]), base_url=f"http://{host}") as client:
        assert client.get("/").status_code == 200
        with client.websocket_connect(f"ws://{host}/visit", headers={"origin": f"http://{host}"}) as socket:
            assert socket.receive_json()["type"] == "hello"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8000", "", "[", "1.2.3.4.evil"])
def test_foreign_names_are_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 421


def test_the_page_takes_nothing_from_elsewhere(client):
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    files = ["/", "/style.css", "/main.js", "/wire.js", "/pad.js", "/plots.js", "/stats.js", "/icon.svg"]
    for path in files:
        text = client.get(path).text
        assert "http:" not in text.replace("http://www.w3.org/2000/svg", "").replace('"https:"', "")
        assert " style=" not in text
        assert "onclick=" not in text
    for path in ("/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/none"):
        assert client.get(path).status_code == 404


def test_numbers_that_json_cannot_hold_are_left_out(caller, monkeypatch):
    monkeypatch.setattr(Dream, "step", lambda self, *_: setattr(self, "reward", float("nan")) or self._world.z)
    caller.begin()
    assert caller.step().header["dream"]["reward"] is None
