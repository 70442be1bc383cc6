"""Do one thing with many values, some at once, and give the answers in the order of the values."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

_THREADS = 32  # more bring little, and each answer that waits for its turn takes memory


def side_by_side(call: Callable[[A], B], values: Iterable[A], threads: int) -> Iterator[B]:
    """Yield what `call` returns for each value; an error is raised in its turn. One thread: in this one.

    >>> list(side_by_side(str.upper, "abc", 2))
    ['A', 'B', 'C']
    """
    if threads == 1:
        yield from map(call, values)
        return
    from concurrent.futures import Future, ThreadPoolExecutor  # noqa: PLC0415 - it loads `logging`, for stores of objects alone

    threads = min(threads, _THREADS)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[B]] = deque()
        for value in values:
            waiting.append(pool.submit(call, value))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
