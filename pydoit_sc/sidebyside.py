"""Do one thing with many values, some at once, and give the answers in the order of the values."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def side_by_side(call: Callable[[A], B], values: Iterable[A], threads: int, ahead: int = 1) -> Iterator[B]:
    """Yield what `call` returns for each value; an error is raised in its turn. One thread: in this one.

    `ahead` is how many values a thread is given before the first answer is taken: none is idle then, but each takes memory.

    >>> list(side_by_side(str.upper, "abc", 2))
    ['A', 'B', 'C']
    """
    if threads == 1:
        yield from map(call, values)
        return
    from concurrent.futures import Future, ThreadPoolExecutor  # noqa: PLC0415 - it loads `logging`, for stores of objects alone

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for value in values:
                waiting.append(pool.submit(call, value))
                if len(waiting) > threads * ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
