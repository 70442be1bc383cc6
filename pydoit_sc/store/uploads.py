"""How the files of runs are sent to an object store: at once, or one after the other where that would only cost time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from pydoit_sc.store.blobs import Blobs, threads_for

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

#: To hand a file over to a thread costs time of the processor. Where a share of so many threads publishes runs, the
#: network is busy anyway, and files that are so few, such as stdout and stderr, are sent one after the other.
_BUSY, _FEW = 1 / 4, 2

T = TypeVar("T")


class Uploads:
    """Sends files for all publications of a store, which are made on threads of their own."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._under_way: set[object] = set()  # publications; it is changed in single steps, by their threads

    @contextmanager
    def publication(self) -> Iterator[None]:
        """Count a publication."""
        one = object()
        self._under_way.add(one)
        try:
            yield
        finally:
            self._under_way.discard(one)

    def each(self, upload: Callable[[str], T], names: Sequence[str]) -> list[T]:
        """Upload each of a publication's files, and return the answers; raises the first error there is."""
        is_busy = len(self._under_way) > self._blobs.at_once * _BUSY
        if len(names) <= (_FEW if is_busy else 1):
            return [*map(upload, names)]
        from concurrent.futures import FIRST_EXCEPTION, wait  # noqa: PLC0415 - it loads `logging`

        sending = [self._threads.submit(upload, name) for name in names]
        for one in wait(sending, return_when=FIRST_EXCEPTION).not_done:
            one.cancel()
        wait(sending)  # what is under way must not come later
        return [one.result() for one in sending]

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return threads_for(self._blobs)
