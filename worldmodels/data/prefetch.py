"""Reading the next batch while the current one is being learned from."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Batch = TypeVar("Batch")


def prefetch(read: Callable[[Item], Batch], items: Iterable[Item]) -> Iterator[tuple[Item, Batch]]:
    """(item, read(item)) in order; the next item is read in a thread while the caller works on this one."""
    with ThreadPoolExecutor(1, "prefetch") as executor:
        pending = None
        for item in items:
            following = (item, executor.submit(read, item))
            if pending is not None:
                yield pending[0], pending[1].result()
            pending = following
        if pending is not None:
            yield pending[0], pending[1].result()
