"""What page and server say to each other: JSON from the page, and to it JSON and frames with what belongs to them."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from worldmodels.errors import UserError
from worldmodels.pictures import Frames

MAX_MESSAGE = 4096
"""A longer message (in bytes) from a page is not read."""
MAX_TEMPERATURE = 5.0
Counter = Annotated[int, Field(ge=0, le=2**53 - 1)]
"""A whole number that JavaScript holds exactly."""
Name = Annotated[str, StringConstraints(max_length=200)]
Temperature = Annotated[float, Field(ge=0, le=MAX_TEMPERATURE, allow_inf_nan=False)]
Mode = Literal["agent", "shared", "human"]
"""Who drives: C; C wherever no button is held; or the visitor alone."""
World = Literal["dream", "game"]
STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, config=STRICT)
class Begin:
    """A visit's first message: how it begins. Without an agent the first one is taken, without a seed a random one."""

    type: Literal["begin"]
    agent: Name | None = None
    seed: Counter | None = None
    temperature: Temperature = 1.0
    mode: Mode = "shared"
    playing: bool = True
    game: bool = False
    watches: World = "dream"


@dataclass(frozen=True, config=STRICT)
class Set:
    """Change what is given and leave the rest; `id` counts the page's inputs."""

    type: Literal["set"]
    id: Counter
    agent: Name | None = None
    temperature: Temperature | None = None
    mode: Mode | None = None
    playing: bool | None = None
    game: bool | None = None
    watches: World | None = None


@dataclass(frozen=True, config=STRICT)
class Hold:
    """These buttons are held now, in the order in which they were pressed."""

    type: Literal["hold"]
    id: Counter
    buttons: Annotated[tuple[Name, ...], Field(max_length=16)]


@dataclass(frozen=True, config=STRICT)
class Do:
    """Do something once: a step while it is paused; begin the same dream again, or another; dream on from the game's
    present moment; begin to record; end that and make the files."""

    type: Literal["do"]
    id: Counter
    what: Literal["step", "restart", "renew", "from_game", "record", "stop"]


@dataclass(frozen=True, config=STRICT)
class Seen:
    """The frame of that number has arrived."""

    type: Literal["seen"]
    frame: Counter


Message = Begin | Set | Hold | Do | Seen
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def understood(text: str | None) -> Message:
    """A page's message; UserError says what is wrong with one that is none (None stands for a binary one)."""
    if text is None:
        raise UserError("This message is binary; the page speaks JSON.")
    if len(text.encode("utf-8", "replace")) > MAX_MESSAGE:
        raise UserError(f"This message is longer than {MAX_MESSAGE} bytes.")
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        reason = f"{where}: {first['msg']}" if where else first["msg"]
        raise UserError(f"This message is not understood ({reason[:200]}).") from error


def frame_message(
    header: Mapping[str, Any], numbers: Sequence[NDArray[np.float32]], pictures: Sequence[Frames]
) -> bytes:
    """A frame and what belongs to it as one binary message.

    Four bytes (little-endian) tell the length of the header that follows, a JSON object padded by spaces to a
    multiple of four; then come arrays of float32, then pictures of 64x64x3 bytes. The header gets two more entries:
    `arrays`, their lengths, and `pictures`, their number.
    """
    header = {**header, "arrays": [len(array) for array in numbers], "pictures": len(pictures)}
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    floats = [np.asarray(array, "<f4").tobytes() for array in numbers]
    return b"".join([len(text).to_bytes(4, "little"), text, *floats, *(picture.tobytes() for picture in pictures)])
