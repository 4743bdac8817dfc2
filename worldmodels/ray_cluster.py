"""Ray: a private cluster on this machine that leaves nothing behind, or a running one at an address."""

import atexit
import logging
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Any

from worldmodels.config import ComputeConfig
from worldmodels.errors import UserError
from worldmodels.janitor import clear_up_after
from worldmodels.ray_token import make_token, show_token
from worldmodels.stopping import keeps_handler
from worldmodels.temporary import temporary_folder

OBJECT_STORE_BYTES = 256 * 2**20


def start_ray(compute: ComputeConfig) -> Any:
    """Ray, connected to the cluster of `compute.ray_address` or to one of its own on this machine; started once.

    A cluster of its own ends with this process, however that ends (see `worldmodels.janitor`). To a running one, this
    package is sent along: its nodes need Ray and the libraries, but neither this code nor the run's folder.

    Raises:
        UserError: nothing answers at the address, or what answers cannot be joined, e.g. for want of its token.
    """
    import ray

    if ray.is_initialized():
        return ray
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    with keeps_handler():
        if compute.ray_address is None:
            _start_private(ray, compute, common)
        else:
            _join(ray, compute.ray_address, common)
    return ray


def _start_private(ray: Any, compute: ComputeConfig, common: dict[str, Any]) -> None:
    folder = temporary_folder("ray")
    make_token()
    atexit.unregister(end_ray)
    atexit.register(end_ray)
    ray.init(
        "local",  # whatever RAY_ADDRESS says
        num_cpus=compute.workers if compute.workers > 0 else None,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=str(folder),
        **common,
    )


def end_ray() -> None:
    """End the private cluster; what it leaves running is killed, and its folder removed."""
    import ray

    ray.shutdown()
    clear_up_after(os.getpid(), Path(tempfile.gettempdir()))


def _join(ray: Any, wanted: str, common: dict[str, Any]) -> None:
    address, package = _found(wanted), str(Path(__file__).parent)
    try:
        _knock(address)
        show_token(address)
        ray.init(address, runtime_env={"py_modules": [package]}, **common)
    except OSError as error:
        raise UserError(
            f"No Ray cluster answers at compute.ray_address {address}: "
            "start one with `ray start --head`, or leave the address out."
        ) from error
    except (RuntimeError, ValueError) as error:  # e.g. of another version of Ray or Python
        raise UserError(f"The Ray cluster at compute.ray_address {address} cannot be joined: {error}") from error


def _found(wanted: str) -> str:
    """HOST:PORT of the cluster that is wanted; UserError if that is no such address.

    `auto` stands for RAY_ADDRESS, or for what `ray start` made last on this machine. Ray itself would take any cluster
    that runs here: another command's private one too, which ends with that command.
    """
    address = (os.environ.get("RAY_ADDRESS") or _started_here()) if wanted == "auto" else wanted
    if re.fullmatch(r"([^/:\[\]]+|\[[^/\[\]]+\]):\d{1,5}", address) is None:
        raise UserError(
            f"compute.ray_address {address} is no HOST:PORT: give that of the cluster's head, as `ray start` printed "
            "it, and run the command on a node of the cluster, since workers cannot be watched through ray://."
        )
    return address


def _started_here() -> str:
    """HOST:PORT of the cluster that `ray start` made on this machine; UserError if it made none."""
    from ray._private.utils import read_ray_address

    address = read_ray_address()
    if not address:
        raise UserError(
            "compute.ray_address is auto, but `ray start` has made no cluster on this machine, and RAY_ADDRESS names "
            "none: give HOST:PORT of one, or leave the address out."
        )
    return address


def _knock(address: str) -> None:
    """OSError if nothing listens at HOST:PORT, which Ray takes minutes to find out."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
