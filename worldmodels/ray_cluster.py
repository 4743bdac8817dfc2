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
    atexit.unregister(_end)
    atexit.register(_end)
    ray.init(
        num_cpus=compute.workers if compute.workers > 0 else None,
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=str(folder),
        **common,
    )


def _end() -> None:
    """End the private cluster; what it leaves running is killed, and its folder removed."""
    import ray

    ray.shutdown()
    clear_up_after(os.getpid(), Path(tempfile.gettempdir()))


def _join(ray: Any, address: str, common: dict[str, Any]) -> None:
    package = str(Path(__file__).parent)
    try:
        if place := _knock(address):
            show_token(place)
        ray.init(address, runtime_env={"py_modules": [package]}, **common)
    except OSError as error:
        raise UserError(
            f"No Ray cluster answers at compute.ray_address {address}: "
            "start one with `ray start --head`, or leave the address out."
        ) from error
    except (RuntimeError, ValueError) as error:  # e.g. of another version of Ray or Python
        raise UserError(f"The Ray cluster at compute.ray_address {address} cannot be joined: {error}") from error


def _knock(address: str) -> str | None:
    """HOST:PORT of an address that has them; OSError if nothing listens there, which Ray takes minutes to find out."""
    found = re.fullmatch(r"(?:ray://)?([^/:]+):(\d{1,5})", address)
    if found is None:
        return None
    socket.create_connection((found[1], int(found[2])), timeout=10).close()
    return f"{found[1]}:{found[2]}"
