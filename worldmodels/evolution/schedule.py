"""Options that change in the course of evolution, e.g. how many episodes a candidate plays."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from worldmodels.errors import UserError

T = TypeVar("T")


class Schedule(Generic[T]):
    """A number by generation.

    Args:
        name: of the option, for messages.
        first: from generation 0 on.
        changes: pairs of a generation and the number from it on.

    Raises:
        UserError: the generations do not ascend.
    """

    def __init__(self, name: str, first: T, changes: Sequence[tuple[int, T]]) -> None:
        begins = [begin for begin, _ in changes]
        if begins != sorted(set(begins)):
            raise UserError(f"{name} has to name ascending generations, but it names {begins}.")
        self._first, self._changes = first, dict(changes)

    def at(self, generation: int) -> T:
        """The number of a generation."""
        begun = [begin for begin in self._changes if begin <= generation]
        return self._changes[begun[-1]] if begun else self._first

    def change(self, generation: int) -> T | None:
        """The number that begins with just this generation; None if none does."""
        return self._changes.get(generation)
