"""How many workers in a row have died while they executed a run, as the leases of dead workers on an object store tell.

A lease lists what its worker holds, which is many runs before they start, and says only every few seconds which of them
are executing. So a worker's last lease is certain of those runs alone that had been executing for some seconds. The others
are *suspects* for whoever holds them next: that worker renews its lease just before it starts one, so the next death
counts, however soon it comes. Runs that no dead worker has held cost nothing.

A run that has had an outcome since has ended the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from pydoit_sc.store.blobs import Blobs, ask_each
from pydoit_sc.store.layout import STATUS_CODE, key_digest

if TYPE_CHECKING:
    from pydoit_sc.store.documents import Lease


class Death(NamedTuple):
    """What a dead worker's last lease says."""

    counts: Mapping[str, int]  # how many workers have died of each run that it held, with itself; by digest
    when: float | None  # seconds since the epoch by the store's clock, where it says
    is_over: bool  # that worker cannot go on with it


class Suspects:
    """The runs of a worker that dead ones have held; it is changed in single steps, for any thread."""

    def __init__(self) -> None:
        #: How many workers will have died in a row if this one dies now, by digest.
        self.counts: dict[str, int] = {}
        self._waiting: set[str] = set()  # have not started

    def add(self, deaths: Mapping[str, int]) -> None:
        """Add runs that are about to be held."""
        self.counts.update(deaths)
        self._waiting.update(deaths)

    def discard(self, digest: str) -> None:
        """Forget a run that is not held any more."""
        self.counts.pop(digest, None)
        self._waiting.discard(digest)

    def has_to_tell(self, digest: str) -> bool:
        """Return whether others have to be told before a run starts."""
        return digest in self._waiting

    @contextmanager
    def starting(self, digest: str) -> Iterator[None]:
        """Count a run as executing, while others are told; take it back if that fails."""
        self.counts[digest] += 1
        try:
            yield
        except BaseException:
            self.counts[digest] -= 1
            raise
        self._waiting.discard(digest)


def digest_of(key: str) -> str:
    """Return what a lease has for the key of a run."""
    return key_digest(key, 8)


def read_death(lease: Lease, when: float | None, *, is_over: bool) -> Death:
    """Return what the last lease of a dead worker says; nothing where it has come to its end itself."""
    executing = {digest_of(key) for key in lease.running}
    return Death(
        {digest: lease.deaths.get(digest, int(digest in executing)) for digest in lease.holds}, when, is_over
    )


def last_deaths(blobs: Blobs, wanted: Mapping[str, str], dead: Iterable[Death]) -> dict[str, int]:
    """Return for each run that a dead worker has held how many in a row have died of it; raises what the store raises.

    `wanted` are the runs' keys by digest. The last death counts: its worker has known of those before.
    """
    last: dict[str, tuple[float, int]] = {}
    for death in dead:
        for digest in wanted.keys() & death.counts.keys():
            last[digest] = max(last.get(digest, (0.0, 0)), (death.when or 0.0, death.counts[digest]))
    counted = [digest for digest, (_, count) in last.items() if count]
    outcomes = ask_each(blobs, lambda digest: _published(blobs, wanted[digest]), counted)
    ended = {digest for digest, when in zip(counted, outcomes, strict=True) if when >= last[digest][0]}
    return {digest: 0 if digest in ended else count for digest, (_, count) in last.items()}


def _published(blobs: Blobs, key: str) -> float:
    """Return when a run's outcome was published, -1 where it has none, infinity where the store does not tell."""
    try:
        when = blobs.read(f"{key}/{STATUS_CODE}")[1].modified
    except FileNotFoundError:
        return -1.0
    return float("inf") if when is None else when
