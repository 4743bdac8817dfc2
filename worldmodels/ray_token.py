"""Ray's token: whether a cluster asks its callers for one, and showing it that of this machine."""

import os
import secrets
from typing import Any

from worldmodels.errors import UserError

MODE, TOKEN = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"


def make_token() -> None:
    """A token for a private cluster, for this process and its children alone, unless the user has given one.

    Ray would make one too, and leave it in ~/.ray: there `ray start` takes it for the user's wish that clusters ask
    for it, and a home that cannot be written would be an error.
    """
    os.environ.setdefault(TOKEN, secrets.token_hex(32))


def show_token(address: str) -> None:
    """Show the cluster at HOST:PORT this machine's token if it asks for one, which Ray leaves to the environment.

    Without the token that a cluster asks for, `ray.init` tries for 20 s. With one that a cluster does not ask for, it
    joins, and every worker dies: those have none, and so cannot call back.

    Raises:
        UserError: the cluster asks for a token, and there is none or another one here; or it asks for none, and
            `RAY_AUTH_MODE` insists on one.
    """
    import grpc  # type: ignore[import-untyped]
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    mode = os.environ.get(MODE, "").lower()
    cluster = f"The Ray cluster at compute.ray_address {address}"
    answer = _answer(address)
    if answer is grpc.StatusCode.OK and mode == "token":
        raise UserError(
            f"{cluster} asks for no token, and {MODE} is token here, with which its workers cannot call back: unset "
            "it, or start the cluster with it as well (docs/scaling.md)."
        )
    if answer is not grpc.StatusCode.UNAUTHENTICATED:
        return
    if mode not in ("", "token"):
        raise UserError(f"{cluster} asks for a token, and {MODE} is {mode} here: unset it.")
    try:
        token = AuthenticationTokenLoader.instance().get_raw_token(ignore_auth_mode=True)
    except AuthenticationError as error:
        raise UserError(
            f"{cluster} asks for a token, and that of this machine cannot be read: {error.message}."
        ) from error
    if not token:
        raise UserError(
            f"{cluster} asks for a token, and this machine has none: copy ~/.ray/auth_token from a machine of the "
            "cluster to this one (docs/scaling.md)."
        )
    if _answer(address, token) is grpc.StatusCode.UNAUTHENTICATED:
        raise UserError(
            f"{cluster} does not accept this machine's token: copy ~/.ray/auth_token from a machine of the cluster to "
            f"this one, and unset {TOKEN} and {TOKEN}_PATH, which come before it."
        )
    os.environ[MODE] = "token"
    Config.initialize("")  # Ray reads its environment anew


def _answer(address: str, token: str = "") -> Any:
    """The gRPC status with which a cluster answers a harmless question of a caller who shows this token."""
    import grpc

    with grpc.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
        ask = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")
        try:
            ask(b"", timeout=10, metadata=[("authorization", f"Bearer {token}")] if token else [])
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK
