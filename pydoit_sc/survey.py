"""What a store has of a batch, read once into its ledger: of many runs, outcomes that are current are not kept."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from itertools import chain, islice, repeat
from typing import NamedTuple

from pydoit_sc.batch import Batch, Run, Stage
from pydoit_sc.fingerprint import digest_attempt
from pydoit_sc.forks import in_processes, shares
from pydoit_sc.ledger import Ledger, Settled
from pydoit_sc.made import MadeRuns, keys_of
from pydoit_sc.parts import in_order
from pydoit_sc.store import Record, Store, Taken
from pydoit_sc.store.places import Beside, There

MANY = 50_000  # runs of a stage; of fewer all outcomes are kept, since each that is asked for is a request
_MANY_HERE = 1_000  # on file systems, where one is soon read again
_LEAST = 25_000  # runs that a process is worth while for


class _Found(NamedTuple):
    """What the store has of some runs of a stage, in their order."""

    records: dict[str, Record]
    taken: dict[str, str]
    settled: Settled | None


def open_ledger(  # noqa: PLR0913 - what a ledger knows
    batch: Batch,
    stages: Iterable[Stage],
    store: Store,
    ignored: Set[str] = frozenset(),
    accepted: Callable[[], Mapping[str, str]] = dict,
    *,
    sparing: bool = False,
) -> Ledger:
    """Read what the store has of these stages of a batch, or parts of them; raises StoreError.

    With `sparing` the ledger keeps no record of a current outcome in a stage with many runs, and reads the few again
    that it is asked for: a million of them are half a gigabyte.
    """
    ledger = Ledger(batch, {}, {}, ignored, accepted)
    ledger.scan = store.scan
    ledger.beside = beside = Beside(store.beside)
    ordered = in_order(list(stages))
    spared = {
        stage.name: _is_awaited(stage, batch) for stage in ordered if sparing and _has_many(stage, store)
    }
    if not spared or store.takes_requests:  # an object store is listed once for all stages
        wanted = chain.from_iterable(
            _fingerprints(ledger, stage.runs, sparing=stage.name in spared) for stage in ordered
        )
        keys = [key for stage in ordered for key in keys_of(stage.runs)]
        found = store.look(keys, wanted if spared else None, beside)
        for stage in ordered:
            settled = _room(stage.runs, spared.get(stage.name))
            _take(ledger, stage, [_read(stage.runs, islice(found, len(stage.runs)), settled)])
        return ledger
    for stage in ordered:
        rows = shares(len(stage.runs), _LEAST) if stage.name in spared else [slice(None)]
        parts = [stage.runs[some] for some in rows]
        works = [partial(_look, ledger, store, part, spared.get(stage.name)) for part in parts]
        _take(ledger, stage, in_processes(works))
    return ledger


def _has_many(stage: Stage, store: Store) -> bool:
    many = MANY if store.takes_requests else _MANY_HERE
    return len(stage.runs) > many and isinstance(stage.runs, MadeRuns)


def _is_awaited(stage: Stage, batch: Batch) -> bool:
    return any(stage.name in other.after for other in batch.stages)


def _look(ledger: Ledger, store: Store, runs: Sequence[Run], awaited: bool | None) -> _Found:
    wanted = None if awaited is None else _fingerprints(ledger, runs, sparing=True)
    return _read(runs, store.look(keys_of(runs), wanted), _room(runs, awaited))


def _fingerprints(ledger: Ledger, runs: Sequence[Run], *, sparing: bool) -> Iterable[str | None]:
    """Return for each run the fingerprint of an outcome that need not be kept."""
    return ledger.fingerprints(runs) if sparing and isinstance(runs, MadeRuns) else repeat(None, len(runs))


def _room(runs: Sequence[Run], awaited: bool | None) -> Settled | None:
    """Return the room for what is kept of current outcomes: attempts only where others come after them; None: all is kept."""
    if awaited is None:
        return None
    count = len(runs)
    attempts = array("Q", bytes(8 * count) if awaited else b"")
    return Settled(bytearray(b"\1") * count, attempts, array("f", bytes(4 * count)))


def _read(runs: Sequence[Run], found: Iterator[There | None], settled: Settled | None) -> _Found:
    part = _Found({}, {}, settled)
    for i, (key, one) in enumerate(zip(keys_of(runs), found, strict=True)):
        if one is None:
            continue
        if isinstance(one, Record):
            part.records[key] = one
        elif isinstance(one, Taken):
            part.taken[key] = one.words
        elif settled is not None:
            settled.others[i], settled.seconds[i] = 0, one.seconds
            if settled.attempts:
                settled.attempts[i] = digest_attempt(key, one.attempt)
    return part


def _take(ledger: Ledger, stage: Stage, parts: Sequence[_Found]) -> None:
    """Put what was found of all runs of a stage into the ledger."""
    for part in parts:
        ledger.records.update(part.records)
        ledger.taken.update(part.taken)
    settled = [part.settled for part in parts if part.settled]
    if settled:
        others = bytearray().join(one.others for one in settled)
        attempts = array("Q", b"".join(one.attempts for one in settled))
        seconds = array("f", b"".join(one.seconds for one in settled))
        ledger.settled[stage.name] = Settled(others, attempts, seconds)
