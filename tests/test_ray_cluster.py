"""Which cluster a command uses: the one that is named, or one of its own, and never another command's."""

import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from worldmodels import ray_cluster
from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.ray_cluster import end_ray, start_ray

JOINS = """
import sys
from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.ray_cluster import start_ray
try:
    start_ray(ComputeConfig(workers=1, ray_address="auto"))
except UserError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses at which Ray is started; it is not."""
    found: list[str] = []
    ray = types.SimpleNamespace(is_initialized=lambda: False, init=lambda address, **_: found.append(address))
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(ray_cluster, "_knock", lambda address: None)
    monkeypatch.setattr(ray_cluster, "show_token", lambda address: None)
    monkeypatch.setattr(ray_cluster, "make_token", lambda: None)
    monkeypatch.setattr(ray_cluster, "temporary_folder", lambda kind: Path("folder"))
    monkeypatch.setattr(ray_cluster.atexit, "register", lambda work: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return found


def test_a_cluster_of_ones_own_is_started_whatever_ray_address_says(
    joined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    start_ray(ComputeConfig())
    assert joined == ["local"]


@pytest.mark.parametrize("address", ["10.0.0.1:6379", "head:6379", "[fe80::1]:6379"])
def test_the_cluster_that_is_named_is_joined(joined: list[str], address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    start_ray(ComputeConfig(ray_address=address))
    assert joined == [address]


def test_auto_is_the_environments_cluster_or_that_of_ray_start(
    joined: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "_started_here", lambda: "10.0.0.1:6379")
    start_ray(ComputeConfig(ray_address="auto"))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:6379")
    start_ray(ComputeConfig(ray_address="auto"))
    assert joined == ["10.0.0.1:6379", "10.0.0.2:6379"]


@pytest.mark.parametrize("address", ["ray://10.0.0.1:10001", "local", "10.0.0.1", "", "10.0.0.1:6379/x", ":6379"])
def test_what_is_no_address_is_refused(joined: list[str], address: str) -> None:
    with pytest.raises(UserError, match=r"is no HOST:PORT: give that of the cluster's head"):
        start_ray(ComputeConfig(ray_address=address))
    assert joined == []


def test_what_ray_start_has_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("10.0.0.1:6379")
    assert ray_cluster._started_here() == "10.0.0.1:6379"


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_auto_is_not_the_private_cluster_of_another_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # where nobody has said `ray start`
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    start_ray(ComputeConfig(workers=1))
    try:
        ended = subprocess.run([sys.executable, "-c", JOINS], env=os.environ, capture_output=True, text=True)
    finally:
        end_ray()
    assert (ended.returncode, "auto, but `ray start` has made no cluster" in ended.stderr) == (1, True), ended.stderr
