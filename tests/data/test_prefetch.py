import threading

import pytest

from worldmodels.data.prefetch import prefetch


def test_items_come_in_order_with_what_was_read() -> None:
    assert list(prefetch(lambda n: n * n, range(5))) == [(n, n * n) for n in range(5)]
    assert list(prefetch(lambda n: n, [])) == []
    assert list(prefetch(lambda n: -n, [7])) == [(7, -7)]


def test_the_next_item_is_read_while_one_is_worked_on() -> None:
    begun = [threading.Event() for _ in range(3)]

    def read(n: int) -> int:
        begun[n].set()
        return n

    work = prefetch(read, range(3))
    next(work)
    assert begun[1].wait(5)
    assert not begun[2].is_set()
    work.close()


def test_an_error_in_reading_arrives() -> None:
    def read(n: int) -> int:
        return 1 // n

    with pytest.raises(ZeroDivisionError):
        list(prefetch(read, [1, 0, 2]))
