"""NumPy files as data: nothing is unpickled, and no more is read or mapped than a file holds."""

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from worldmodels.files import plain_file

MAX_BYTES = 2**42
"""A larger file than 4 TiB is refused."""


def read_header(file: BinaryIO, size: int) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array in an open `.npy` file of `size` bytes, which then stands at its first number.

    Raises:
        ValueError: it is no plain array, or promises more than the file holds.
    """
    if npy.read_magic(file) != (1, 0):  # a later version's header may be of any length
        raise ValueError("it is no plain array")
    try:
        shape, fortran, dtype = npy.read_array_header_1_0(file)
    except (MemoryError, RecursionError, TypeError, SyntaxError) as error:  # of brackets in brackets
        raise ValueError("its header is damaged") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects: save plain numbers")
    if fortran and len(shape) > 1:
        raise ValueError("it is stored column by column: save it row by row")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > size:
        raise ValueError("it is damaged: it promises more than there is")
    return shape, dtype


def open_array(path: Path, dtype: DTypeLike, dimensions: int, mode: str = "r") -> NDArray:
    """An array of a known type in a `.npy` file, mapped into memory.

    Raises:
        UserError: it is missing or no file.
        ValueError: it holds anything else, or not all of it.
    """
    with plain_file(path, MAX_BYTES).open("rb") as file:
        size = path.stat().st_size
        shape, found = read_header(file, size)
        offset = file.tell()
    if found != np.dtype(dtype) or len(shape) != dimensions:
        raise ValueError(f"{path.name} is {found} {shape}, not {np.dtype(dtype)} of {dimensions} dimensions")
    if offset + math.prod(shape) * found.itemsize != size:
        raise ValueError(f"{path.name} is damaged: it is not as long as it says")
    if 0 in shape:
        return np.zeros(shape, found)  # nothing can be mapped
    return np.memmap(path, found, mode, offset, shape)  # type: ignore[call-overload]
