"""A small agent of the counting game whose M dreams noise, and a page that speaks to a playground."""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from starlette.testclient import WebSocketTestSession

from worldmodels.agent import Agent
from worldmodels.config import ComputeConfig, ControllerConfig, MemoryConfig, TaskConfig, VisionConfig
from worldmodels.envs.actions import squash_for
from worldmodels.envs.make import make_game
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.starts import Starts
from worldmodels.playground.app import Playground
from worldmodels.playground.serve import address_of, listen, server_of
from worldmodels.process import cores
from worldmodels.vision.base import build_vision

COMPUTE = ComputeConfig(workers=0, device="cpu", precision="float32")
Z, HIDDEN = 4, 8
ORIGIN, VISIT = "http://localhost:8000", "ws://localhost:8000/visit"


def random_agent(task: TaskConfig, latents: int = Z, hidden: int = HIDDEN, ends: float = -20.0, **memory: Any) -> Agent:
    """An agent with random weights; `ends` are the log-odds that M gives to the end at every step."""
    torch.manual_seed(3)
    squash = squash_for(make_game(task).get_wrapper_attr("squash").space)
    config = MemoryConfig(hidden=hidden, reward_head=True, done_head=True, **memory)
    model = MDNRNN(config, latents, squash.dim).eval()
    with torch.no_grad():
        model.head.weight[-1], model.head.bias[-1] = 0.0, ends
    starts = Starts(
        torch.randn(3, latents),
        torch.zeros(3, latents),
        torch.zeros(3, hidden),
        torch.zeros(3, hidden),
        torch.ones(3, dtype=torch.bool),
    )
    agent = Agent(
        task,
        squash,
        build_vision(VisionConfig(latent_dim=latents)).eval(),
        model,
        starts,
        ControllerConfig(),
        np.zeros(0),
    )
    parameters = np.random.default_rng(3).normal(0, 0.3, agent.form.parameters).astype(np.float32)
    return Agent(task, squash, agent.vision, model, starts, agent.config, parameters)


COUNTING = TaskConfig(name="counting", env="counting:Counting-v0", max_steps=50, fps=100.0)


RACING = TaskConfig(
    name="car_racing",
    env="WorldModels/CarRacing-v0",
    env_kwargs={"size": 64},
    squash=("tanh", "half", "clip"),
    fps=50.0,
)
DODGING = TaskConfig(name="take_cover", env="WorldModels/TakeCover-v0", max_steps=2100, squash=("tanh",), fps=35.0)


def racer() -> Agent:
    """A random agent of CarRacing, as large as the paper's."""
    return random_agent(RACING, latents=32, hidden=256)


def dodger() -> Agent:
    """A random agent of TakeCover, as large as the paper's."""
    return random_agent(DODGING, latents=64, hidden=512, restart_input=True)


class Got(NamedTuple):
    """A frame as a page gets it."""

    header: dict[str, Any]
    arrays: list[NDArray[np.float32]]
    pictures: list[NDArray[np.uint8]]


def decoded(message: bytes) -> Got:
    """What `frame_message` encodes."""
    length = int.from_bytes(message[:4], "little")
    header = json.loads(message[4 : 4 + length])
    assert length % 4 == 0
    rest, arrays, pictures = message[4 + length :], [], []
    for count in header["arrays"]:
        arrays.append(np.frombuffer(rest[: 4 * count], "<f4"))
        rest = rest[4 * count :]
    for _ in range(header["pictures"]):
        pictures.append(np.frombuffer(rest[: 64 * 64 * 3], np.uint8).reshape(64, 64, 3))
        rest = rest[64 * 64 * 3 :]
    assert rest == b""
    return Got(header, arrays, pictures)


class Caller:
    """A page: it confirms every frame, and keeps what else it is told."""

    def __init__(self, socket: WebSocketTestSession) -> None:
        self._socket, self._inputs = socket, 0
        self.told: list[dict[str, Any]] = []

    def send(self, text: str | bytes) -> None:
        """Anything."""
        self._socket.send_bytes(text) if isinstance(text, bytes) else self._socket.send_text(text)

    def begin(self, **how: Any) -> Got:
        """Begin the visit; its first frame."""
        self.send(json.dumps({"type": "begin", "seed": 7, "playing": False, **how}))
        return self.frame()

    def ask(self, kind: str, **content: Any) -> Got:
        """Ask for something; the first frame that obeys."""
        self._inputs += 1
        self.send(json.dumps({"type": kind, "id": self._inputs, **content}))
        return self.until(lambda header: header["input"] >= self._inputs)

    def step(self, count: int = 1) -> Got:
        """Step so many times."""
        for _ in range(count):
            got = self.ask("do", what="step")
        return got

    def until(self, condition: Callable[[dict[str, Any]], bool]) -> Got:
        """The first frame whose header is as wanted."""
        while not condition((got := self.frame()).header):
            pass
        return got

    def frame(self) -> Got:
        """The next frame."""
        while True:
            message = self._socket.receive()
            if message["type"] == "websocket.close":
                raise AssertionError(f"the visit was closed: {message}, {self.told}")
            if message.get("bytes") is not None:
                got = decoded(message["bytes"])
                self.send(json.dumps({"type": "seen", "frame": got.header["frame"]}))
                return got
            self.told.append(json.loads(message["text"]))

    def hear(self, kind: str) -> dict[str, Any]:
        """The next message of a kind, those that are already told included."""
        while not (found := [message for message in self.told if message["type"] == kind]):
            message = self._socket.receive()
            assert message["type"] != "websocket.close", (message, self.told)
            if message.get("text") is not None:
                self.told.append(json.loads(message["text"]))
        self.told.remove(found[0])
        return found[0]


def busy() -> str:
    """Says so if others keep this machine too busy for speeds to be judged; empty if not."""
    load = os.getloadavg()[0]
    return f" (not judged: load {load:.0f} on {cores()} cores)" if load > 2 * cores() else ""


@contextlib.contextmanager
def serving(playground: Playground, port: int = 0) -> Iterator[str]:
    """Serve a playground from a thread; the page's address."""
    with listen("127.0.0.1", port) as listener:
        server = server_of(playground, "127.0.0.1")
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield address_of(listener)
        finally:
            server.should_exit = True
            thread.join()
