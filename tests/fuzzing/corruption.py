"""Ways in which a file can be damaged: by accident whatever its format, and on purpose by format."""

import io
import json
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zstandard

Damage = Callable[[bytes, np.random.Generator], bytes]


def _flipped(content: bytes, random: np.random.Generator) -> bytes:
    return _replaced(content, at := int(random.integers(len(content))), bytes([content[at] ^ 1 << random.integers(8)]))


def _replaced(content: bytes, at: int, part: bytes) -> bytes:
    return content[:at] + part + content[at + len(part) :]


def _burst(content: bytes, random: np.random.Generator) -> bytes:
    return _replaced(content, int(random.integers(len(content))), random.bytes(16))[: len(content)]


def _zeroed(content: bytes, random: np.random.Generator) -> bytes:
    return _replaced(content, int(random.integers(len(content))), bytes(64))[: len(content)]


def _cut_out(content: bytes, random: np.random.Generator) -> bytes:
    at = int(random.integers(len(content)))
    return content[:at] + content[at + 1 + int(random.integers(64)) :]


def _grown(content: bytes, random: np.random.Generator) -> bytes:
    """With one of a text's numbers a billion times as large; other files get another length in their header."""
    numbers = [match.span() for match in re.finditer(rb"(?<![\w.])\d+(?![\w.])", content)]
    first, end = numbers[random.integers(len(numbers))] if numbers else (0, 1)
    return content[:first] + b"999999999999" + content[end:]


ACCIDENTS: dict[str, Damage] = {
    "bit flipped": _flipped,
    "truncated": lambda content, random: content[: random.integers(len(content))],
    "bytes overwritten": _burst,
    "zeros": _zeroed,
    "piece missing": _cut_out,
    "number grown": _grown,
    "twice": lambda content, random: content + content,
    "noise appended": lambda content, random: content + random.bytes(1 + int(random.integers(100))),
    "noise": lambda content, random: random.bytes(len(content)),
    "empty": lambda content, random: b"",
}
"""What happens to files by itself."""

MARK = "code-was-run"
"""A hostile file that gets its code run leaves a file of this name in the folder of the process."""


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (MARK,)


def _pickled() -> bytes:
    import pickle

    return pickle.dumps(_Payload())


def _npy(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def _header(shape: str, descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def _safetensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _entry(begin: int, end: int, shape: list[int] | None = None) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape or [(end - begin) // 4], "data_offsets": [begin, end]}


def _zip(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".npy", content)
    return file.getvalue()


JSON = {
    "deep": b"[" * 200_000,
    "deep objects": b'{"a":' * 100_000,
    "no object": b"[1, 2]",
    "giant number": b'{"a": ' + b"9" * 100_000 + b"}",
    "infinite": b'{"schema": Infinity, "step": NaN}',
    "empty object": b"{}",
    "nulls": b'{"schema": null, "options": null, "fingerprint": null, "summary": null}',
    "newer schema": b'{"schema": 99, "content": {}, "options": {}, "upstream": {}}',
    "no utf-8": b'{"a": "\xff\xfe"}',
}
NPY = {
    "pickle": _npy(_header("(1,)", "'|O'"), _pickled()),
    "giant shape": _npy(_header("(1099511627776, 1024)"), bytes(64)),
    "overflowing shape": _npy(_header("(4294967296, 4294967296, 4)"), bytes(64)),
    "negative shape": _npy(_header("(-1,)"), bytes(64)),
    "brackets": _npy("(" * 5000, bytes(64)),
    "call in the header": _npy(f"__import__('os').mkdir('{MARK}')", bytes(64)),
    "later version": _npy(_header("(1,)"), bytes(64), b"\x02\x00"),
    "structured": _npy(_header("(1,)", "[('a', '<f4'), ('b', '|O')]"), bytes(64)),
    "nothing": _npy(_header("(0,)")),
    "bare pickle": _pickled(),
}
HOSTILE: dict[str, dict[str, bytes]] = {
    "safetensors": {
        "header of giant length": _safetensors({}, length=2**62),
        "header of 90 MB": _safetensors({}, length=90_000_000),
        "overlapping": _safetensors({"a": _entry(0, 8), "b": _entry(4, 12)}, bytes(12)),
        "beyond the end": _safetensors({"a": _entry(0, 2**40)}, bytes(8)),
        "giant shape": _safetensors({"a": _entry(0, 8, [2**62, 4])}, bytes(8)),
        "negative offsets": _safetensors({"a": _entry(-8, 0)}, bytes(8)),
        "deep": _safetensors(b"[" * 100_000),
        "many tensors": _safetensors({str(n): _entry(0, 0, [0]) for n in range(20_000)}),
        "pickle": _pickled(),
        "torch": _zip(archive__data=_pickled()),
        "newer schema": _safetensors({"__metadata__": {"metadata": '{"schema": 99, "content": {}, "sha256": ""}'}}),
        "deep metadata": _safetensors({"__metadata__": {"metadata": "[" * 100_000}}),
        "foreign": _safetensors({"a": _entry(0, 8)}, bytes(8)),
    },
    "json": JSON,
    "jsonl": {name: content + b"\n" for name, content in JSON.items()},
    "yaml": {
        "bomb": b"a: &a [x, x]\n" + b"".join(b"b%d: &b%d [*a, *a]\n" % (n, n) for n in range(20)),
        "merge bomb": b"a: &a {x: 1}\nb: {<<: [*a, *a]}\n",
        "object": f"!!python/object/apply:os.mkdir ['{MARK}']\n".encode(),
        "name": b"!!python/name:os.system\n",
        "deep": b"[" * 50_000,
        "deep mappings": b"a: " * 5000,
        "many keys": b"".join(b"k%d: 1\n" % n for n in range(15_000)),
        "giant number": b"seed: " + b"9" * 50_000,
        "base sixty": b"seed: 1" + b":59" * 30_000,
        "long key": b"x" * 90_000 + b": 1\n",
        "long value": b"task: {name: [" + b"x" * 90_000 + b"]}\n",
        "escapes": b'"\\x1b[2J": 1\n',
        "paths": b"controllers: {../../x: {generations: many}}\n",
        "too large": b"#" * 300_000,
        "no utf-8": b"\xff\xfe\x00",
        "unknown model": b"vision: {model: os}\n",
        "list": b"- 1\n",
    },
    "npy": NPY,
    "npz": {
        **{f"actions: {name}": _zip(actions=content) for name, content in NPY.items()},
        "bomb": _zip(actions=_npy(_header("(250000000,)", "'|u1'"), bytes(250_000_000))),
        "traversal": _zip(**{"..__..__actions": _npy(_header("(1,)"), bytes(4))}),
        "no archive": _pickled(),
    },
    "message": {
        **JSON,
        "long": b'{"type": "hold", "id": 1, "buttons": ["' + b"x" * 10_000 + b'"]}',
        "many buttons": json.dumps({"type": "hold", "id": 1, "buttons": ["a"] * 99}).encode(),
        "unknown type": b'{"type": "eval", "id": 1}',
        "infinite": b'{"type": "set", "id": 1, "temperature": Infinity}',
        "negative": b'{"type": "seen", "frame": -1}',
        "extra": b'{"type": "seen", "frame": 1, "__class__": "os"}',
    },
    "lance": {"pickle": _pickled(), "frame": zstandard.ZstdCompressor().compress(bytes(10_000_000))},
    "hdf5": {"pickle": _pickled(), "superblock only": b"\x89HDF\r\n\x1a\n" + bytes(200)},
}
"""What somebody may send instead of a file of a format."""


def _sparse(path: Path) -> None:
    os.truncate(path, 2**41)


def _to(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


SWAPS: dict[str, Callable[[Path], None]] = {
    "2 TiB": _sparse,
    "link to /dev/zero": lambda path: _to(path, "/dev/zero"),
    "link to itself": lambda path: _to(path, path.name),
    "pipe": _pipe,
    "folder": _folder,
    "missing": Path.unlink,
}
"""What may lie in a file's place."""
