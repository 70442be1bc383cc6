"""List a whole store of objects, a large one by several listings side by side: one alone waits for page after page."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Set
from itertools import islice, takewhile

from pydoit_sc.store.blobs import Blob, Blobs, ask_each, threads_for

_PAGE = 1000  # objects; S3 gives no more at once
_RUNS = 1000  # a listing should bring so many runs: four pages, of which one may be for nothing
_MOST = 16  # listings side by side
_PER_RUN = 40  # objects that are listed in the time that it takes to read one of many runs


def list_whole(blobs: Blobs, keys: Collection[str]) -> Iterator[Blob]:
    """Yield all objects of a store that is to hold these runs; some may come twice.

    The listings begin at runs that are spread evenly. Each ends where it meets what the next one has begun with, or else
    with the store. So none is left out, whatever order the store lists in; where that is not the order of the names, it
    only takes longer.
    """
    starts = _starts(keys) if blobs.lists_after else []
    if not starts:
        yield from blobs.list("")
        return
    from concurrent.futures import FIRST_COMPLETED, wait  # noqa: PLC0415 - it loads `logging`

    with threads_for(blobs) as threads:
        listings = [blobs.list("", after) for after in ("", *starts)]
        pages = {threads.submit(_page, listing): number for number, listing in enumerate(listings)}
        wait(pages)
        if any(page.exception() for page in pages):
            # Some stores cannot begin in the middle; where there is another reason, this fails, too.
            yield from blobs.list("")
            return
        ends = [*({blob.path for blob in page.result()} for page in pages), set()][1:]
        while pages:
            for page in wait(pages, return_when=FIRST_COMPLETED).done:
                number = pages.pop(page)
                new = _before(ends[number], page.result())
                if len(new) == _PAGE:
                    pages[threads.submit(_page, listings[number])] = number
                yield from new


def worth(keys: Collection[str]) -> int:
    """Return how many objects a listing may bring until it has taken as long as reading these runs, one by one, takes.

    Nobody knows how many there are. So where a listing is given up then, both together take twice the time of the quicker one.
    """
    return len(keys) * _PER_RUN * _parts(keys)


def list_each(blobs: Blobs, folders: Iterable[str]) -> Iterator[Blob]:
    """Yield all objects below several folders, which are listed at once."""
    for found in ask_each(blobs, lambda folder: [*blobs.list(folder)], folders):
        yield from found


def _starts(keys: Collection[str]) -> list[str]:
    """Return names before the objects of every so many-th run; `!` since SeaweedFS begins before a name that ends in `/`."""
    parts = _parts(keys)
    ordered = sorted(f"{key}/!" for key in keys) if parts > 1 else []
    return [ordered[number * len(ordered) // parts] for number in range(1, parts)]


def _parts(keys: Collection[str]) -> int:
    return max(1, min(_MOST, len(keys) // _RUNS))


def _before(end: Set[str], page: list[Blob]) -> list[Blob]:
    """Return the objects of a page that come before the first of those at an end."""
    if end.isdisjoint([blob.path for blob in page]):  # as a rule
        return page
    return [*takewhile(lambda blob: blob.path not in end, page)]


def _page(listing: Iterator[Blob]) -> list[Blob]:
    return [*islice(listing, _PAGE)]
