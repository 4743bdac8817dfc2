"""A cluster's token is shown to those that ask for it, and to nobody else."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.ray_cluster import start_ray
from worldmodels.ray_token import make_token, show_token

MINE = "0123456789abcdef" * 4
AUTH = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextlib.contextmanager
def cluster(token: str) -> Iterator[str]:
    """HOST:PORT of what answers callers as a Ray cluster does that asks for this token, or for none."""
    grpc = pytest.importorskip("grpc")

    def answer(request: bytes, context: Any) -> bytes:
        if token and ("authorization", f"Bearer {token}") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        return b""

    methods = {"GetClusterId": grpc.unary_unary_rpc_method_handler(answer)}
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("ray.rpc.NodeInfoGcsService", methods)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


class Loader:
    """Stands for Ray's own, which keeps the first token that it finds for as long as the process lives."""

    @classmethod
    def instance(cls) -> "Loader":
        return cls()

    def get_raw_token(self, ignore_auth_mode: bool) -> str:
        return os.environ.get("RAY_AUTH_TOKEN", "")


class Settings:
    """Stands for Ray's settings: those of this process are other tests' too."""

    @staticmethod
    def initialize(changes: str) -> None:
        os.environ["RAY_WAS_TOLD"] = os.environ["RAY_AUTH_MODE"]


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has given a token or a mode; what a test sets is forgotten after it."""
    for name in (*AUTH, "RAY_WAS_TOLD"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("ray._raylet.AuthenticationTokenLoader", Loader)
    monkeypatch.setattr("ray._raylet.Config", Settings)


@pytest.mark.parametrize("mode", [None, "token", "TOKEN"])
def test_who_asks_for_the_token_is_shown_it(mode: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", MINE)
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with cluster(MINE) as address:
        show_token(address)
    assert os.environ["RAY_WAS_TOLD"] == "token"


@pytest.mark.parametrize("mode", [None, "disabled"])
def test_who_asks_for_none_is_shown_none(mode: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", MINE)
    if mode:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with cluster("") as address:
        show_token(address)
    assert os.environ.get("RAY_AUTH_MODE") == mode
    assert "RAY_WAS_TOLD" not in os.environ


@pytest.mark.parametrize(
    ("asked", "mode", "token", "said"),
    [
        (MINE, "", "", "asks for a token, and this machine has none: copy"),
        (MINE, "token", "", "asks for a token, and this machine has none: copy"),
        (MINE, "", "another", "does not accept this machine's token: copy"),
        (MINE, "disabled", MINE, "asks for a token, and RAY_AUTH_MODE is disabled here: unset it"),
        ("", "token", MINE, "asks for no token, and RAY_AUTH_MODE is token here"),
    ],
)
def test_what_cannot_be_is_said(asked: str, mode: str, token: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    with cluster(asked) as address, pytest.raises(UserError, match=rf"compute\.ray_address {address} {said}"):
        start_ray(ComputeConfig(ray_address=address))


def test_a_private_cluster_has_a_token_of_its_own_or_that_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    make_token()
    made = os.environ["RAY_AUTH_TOKEN"]
    assert len(made) == 64
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    make_token()
    assert os.environ["RAY_AUTH_TOKEN"] != made
    monkeypatch.setenv("RAY_AUTH_TOKEN", MINE)
    make_token()
    assert os.environ["RAY_AUTH_TOKEN"] == MINE


WORK = """
import sys
from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.ray_cluster import start_ray
try:
    ray = start_ray(ComputeConfig(workers=1, ray_address=sys.argv[1] if sys.argv[1:] else None))
except UserError as error:
    sys.exit(str(error))
print(ray.get(ray.remote(lambda: 42).remote()))
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_recipe_for_a_cluster(tmp_path: Path) -> None:
    """A command of one machine first, then a real cluster, with the token of a home and without it."""
    home, bare = tmp_path / "home", tmp_path / "bare"
    home.mkdir()
    bare.mkdir()
    clean = {name: value for name, value in os.environ.items() if name not in AUTH}
    ray = str(Path(sys.executable).with_name("ray"))

    def work(at: Path, *address: str) -> str:
        command = [sys.executable, "-c", WORK, *address]
        ended = subprocess.run(command, env=clean | {"HOME": str(at)}, capture_output=True, text=True, timeout=300)
        return (ended.stdout or ended.stderr.splitlines()[-1]).strip()

    assert work(home) == "42"
    assert list(home.iterdir()) == []  # no token for `ray start` to find

    with started(ray, clean | {"HOME": str(home)}) as address:
        assert work(bare, address) == "42"
    made = subprocess.run([ray, "get-auth-token", "--generate"], env=clean | {"HOME": str(home)}, capture_output=True)
    assert (home / ".ray" / "auth_token").read_bytes() == made.stdout.strip()
    with started(ray, clean | {"HOME": str(bare)}) as address:
        assert work(home, address) == "42"
    with started(ray, clean | {"HOME": str(home)}) as address:
        assert work(home, address) == "42"
        assert "asks for a token, and this machine has none" in work(bare, address)


@contextlib.contextmanager
def started(ray: str, environment: dict[str, str]) -> Iterator[str]:
    """HOST:PORT of a cluster that `ray start` made."""
    port, other = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="wm-", ignore_cleanup_errors=True) as folder:
        command = [ray, "start", "--head", "--block", "--temp-dir", folder, "--include-dashboard=false"]
        ports = ["--port", f"{port}", "--ray-client-server-port", f"{other}"]
        limits = ["--num-cpus", "1", "--object-store-memory", "100000000"]
        with subprocess.Popen(
            [*command, *ports, *limits],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as head:
            try:
                assert head.stdout is not None
                assert any("Ray runtime started" in line for line in head.stdout)
                yield f"127.0.0.1:{port}"
            finally:
                os.killpg(head.pid, signal.SIGTERM)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
