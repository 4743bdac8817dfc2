"""Whatever is wrong with a file, it is refused in a sentence, or is harmless: no crash, no hang, no code is run."""

import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fuzzing.corruption import ACCIDENTS, HOSTILE, MARK, SWAPS
from fuzzing.loaders import LOADERS
from fuzzing.sandbox import Sandbox

from worldmodels.runs import Run

OUTCOMES = ("refused", "harmless", "other values", "crash", "hang", "code run")
SHORTER = ("truncated", "empty", "instead: missing", "instead: link to itself")
NO_FILE = ("messages of a page",)
"""Read from no disk: nothing can lie in the file's place."""


def damaged(name: str, pristine: Path, folder: Path, accidents: int) -> Iterator[str]:
    """Copies of an example in `folder`, each with one file damaged; yields the kind of damage."""
    loader, random = LOADERS[name], np.random.default_rng(zlib.crc32(name.encode()))
    files = sorted(path.relative_to(pristine) for pattern in loader.files for path in pristine.glob(pattern))
    assert files, f"{name} has no example"

    def fresh(number: int) -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(pristine, folder)
        return folder / files[number % len(files)]

    for number in range(accidents):
        for kind, damage in ACCIDENTS.items():
            path = fresh(number)
            path.write_bytes(damage(path.read_bytes(), random))
            yield kind
    for number, (kind, content) in enumerate(HOSTILE[loader.format].items()):
        fresh(number).write_bytes(content)
        yield f"hostile: {kind}"
    for number, (kind, swap) in enumerate(SWAPS.items() if name not in NO_FILE else ()):
        swap(fresh(number))
        yield f"instead: {kind}"


def fuzz(run: Run, place: Path, accidents: int, names: list[str]) -> tuple[Counter[tuple[str, str]], list[str]]:
    """How many files of each loader fared how, and what should not have happened."""
    table, wrong = Counter[tuple[str, str]](), list[str]()
    with Sandbox(place) as sandbox:
        for name in names:
            pristine, folder = place / f"{zlib.crc32(name.encode()):08x}", place / "damaged"
            pristine.mkdir()
            LOADERS[name].prepare(run, pristine)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(pristine, folder)
            state, right = sandbox.load(name, folder)
            if state != "loaded":
                wrong.append(f"{name}, in order: {state} {right}")
            for kind in damaged(name, pristine, folder, accidents):
                state, what = sandbox.load(name, folder)
                if state == "loaded":
                    short = LOADERS[name].torn and kind in SHORTER
                    state = "harmless" if what == right or short else "other values"
                table[name, state] += 1
                if state in OUTCOMES[3:] or (state == "other values" and LOADERS[name].sealed):
                    wrong.append(f"{name}, {kind}: {state} {what}")
    assert not (place / MARK).exists()
    return table, wrong


def shown(table: Counter[tuple[str, str]]) -> str:
    """The table for people."""
    lines = [f"{'loader':22}{'files':>7}" + "".join(f"{outcome:>14}" for outcome in OUTCOMES)]
    for name in [*dict.fromkeys(name for name, _ in table), "all"]:
        counts = [sum(n for (who, what), n in table.items() if what == o and name in (who, "all")) for o in OUTCOMES]
        lines.append(f"{name:22}{sum(counts):7}" + "".join(f"{count:14}" for count in counts))
    return "\n" + "\n".join(lines)


QUICK = ["checkpoint, weights", "a stage's records", "history of C", "latents", "rollouts", "episodes in .npz"]


def test_a_few_damaged_files_of_the_main_loaders(tiny_run: Run, tmp_path: Path) -> None:
    table, wrong = fuzz(tiny_run, tmp_path, 1, QUICK)
    assert not wrong, "\n".join(wrong)
    assert sum(table.values()) > 100


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_damaged_files(tiny_run: Run, tmp_path: Path, record_property: Callable[[str, str], None]) -> None:
    table, wrong = fuzz(tiny_run, tmp_path, 6, list(LOADERS))
    record_property("measured", shown(table))
    assert not wrong, "\n".join([*wrong, shown(table)])
    assert sum(table.values()) >= 1000
