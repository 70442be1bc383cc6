"""Try again after a failure that may pass, with growing random pauses."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def pauses(count: int, first: float, longest: float = 60.0) -> Iterator[float]:
    """Yield `count` pauses in seconds, each about twice as long as the one before.

    They are random within a half, so that workers that failed together do not come back together.
    """
    pause = first
    for _ in range(count):
        yield min(longest, pause) * random.uniform(0.5, 1.5)
        pause = min(longest, 2 * pause)


def retry(
    call: Callable[[], T],
    waits: Iterable[float],
    *,
    when: Callable[[Exception], bool] = lambda _error: True,
    before: Callable[[], object] = lambda: None,
) -> T:
    """Return what `call` returns; call it again after each of these pauses (seconds) while it raises.

    An error for which `when` returns False is raised at once, the last error in any case. `before` is called ahead
    of each try; what it raises is raised.

    >>> retry(lambda: 42, pauses(3, 0.2), when=lambda error: isinstance(error, TimeoutError))
    42
    """
    for wait in waits:
        before()
        try:
            return call()
        except Exception as error:  # libraries have their own
            if not when(error):
                raise
        time.sleep(wait)
    before()
    return call()
