"""How many episodes a candidate plays: more of them late, when candidates differ by less than luck does."""

from collections.abc import Sequence

from worldmodels.errors import UserError


class RolloutSchedule:
    """Episodes a candidate, by generation.

    Args:
        rollouts: from generation 0 on.
        changes: pairs of a generation and the episodes from it on.

    Raises:
        UserError: the generations do not ascend.
    """

    def __init__(self, rollouts: int, changes: Sequence[tuple[int, int]]) -> None:
        begins = [begin for begin, _ in changes]
        if begins != sorted(set(begins)):
            raise UserError(f"rollouts_schedule has to name ascending generations, but it names {begins}.")
        self._counts = [(0, rollouts), *changes]

    def at(self, generation: int) -> int:
        """Episodes a candidate in a generation."""
        return [count for begin, count in self._counts if begin <= generation][-1]
