"""What a store has of a batch, read once into its ledger: of many runs, outcomes that are current are not kept."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from pydoit_sc.batch import Batch, Run, Stage
from pydoit_sc.fingerprint import digest_attempt
from pydoit_sc.forks import in_processes, shares
from pydoit_sc.made import MatrixRuns, keys_of
from pydoit_sc.parts import in_order
from pydoit_sc.plan import Ledger, Settled
from pydoit_sc.store import Record, Store, Taken

MANY = 50_000  # runs of a stage; of fewer all outcomes are kept
_LEAST = 25_000  # runs that a process is worth while for


@dataclass(slots=True)
class _Found:
    """What the store has of some runs of a stage, in their order."""

    records: dict[str, Record] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    settled: Settled = field(default_factory=lambda: Settled(bytearray(), array("Q")))


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
    ledger.read = lambda key: store.scan([key]).get(key)
    ordered = in_order(list(stages))
    spared = [stage.name for stage in ordered if sparing and _has_many(stage)]
    if not spared or store.window > 1:  # an object store is listed once for all stages
        keys = [key for stage in ordered for key in keys_of(stage.runs)]
        found = iter(store.look(keys))
        for stage in ordered:
            some = islice(found, len(stage.runs))
            _take(ledger, stage, [_read(ledger, stage.runs, some, spares=stage.name in spared)])
        return ledger
    for stage in ordered:
        rows = shares(len(stage.runs), _LEAST) if stage.name in spared else [slice(None)]
        parts = [stage.runs[some] for some in rows]
        works = [partial(_look, ledger, store, part, spares=stage.name in spared) for part in parts]
        _take(ledger, stage, in_processes(works))
    return ledger


def _has_many(stage: Stage) -> bool:
    return len(stage.runs) > MANY and isinstance(stage.runs, MatrixRuns)


def _look(ledger: Ledger, store: Store, runs: Sequence[Run], *, spares: bool) -> _Found:
    return _read(ledger, runs, store.look(keys_of(runs)), spares=spares)


def _read(
    ledger: Ledger, runs: Sequence[Run], found: Iterator[Record | Taken | None], *, spares: bool
) -> _Found:
    part = _Found()
    if spares:
        part.settled = Settled(bytearray(b"\1") * len(runs), array("Q", bytes(8 * len(runs))))
    for i, (run, one) in enumerate(zip(runs, found, strict=True)):
        if one is None:
            continue
        if isinstance(one, Taken):
            part.taken[run.key] = one.words
        elif spares and ledger.settles(run, one):
            part.settled.others[i], part.settled.attempts[i] = 0, digest_attempt(run.key, one.attempt)
        else:
            part.records[run.key] = one
    return part


def _take(ledger: Ledger, stage: Stage, parts: Sequence[_Found]) -> None:
    """Put what was found of all runs of a stage into the ledger."""
    for part in parts:
        ledger.records.update(part.records)
        ledger.taken.update(part.taken)
    others = bytearray().join(part.settled.others for part in parts)
    attempts = array("Q", b"".join(part.settled.attempts for part in parts))
    if others:
        ledger.settled[stage.name] = Settled(others, attempts)
