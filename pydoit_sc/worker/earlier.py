"""What the runs of a chunk need before they start: the runs that they come after, completed.

An engine starts such a chunk when the chunks before it have ended, successful or not. So the worker looks into the
store itself, for each run. Only then are the attempts of the earlier runs known, which are a part of the fingerprints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import ConfigDict

from pydoit_sc.batch import Status, task_of
from pydoit_sc.chunks.chunk import Before, Chunk
from pydoit_sc.fingerprint import after_part, digest_attempt
from pydoit_sc.ledger import Work
from pydoit_sc.store import Record, Store, StoreError
from pydoit_sc.store.stamps import StoredDocument, read
from pydoit_sc.verdicts import Verdict, judge, waiting


class Earlier(StoredDocument):
    """The fingerprints of the runs of whole stages when the submission was made, by stage and key."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, str]]


def note_name(submission: str) -> str:
    """Return the name of the note in which a submission keeps the runs of whole stages."""
    return f"submissions/{submission}/after.json"


def after_earlier(store: Store, chunk: Chunk) -> tuple[Chunk, list[Verdict], Mapping[str, Record]]:
    """Return the chunk with its final fingerprints, without the runs that have to wait or whose outcomes cannot be read, and why.

    Raises StoreError.

    The last is what the store has of its runs and of those that they wait for, from one scan.
    """
    befores = [one for found in chunk.before.values() for one in found]
    names = {one.stage for one in befores if one.stage}
    stages = _stages(store, chunk, names) if names else {}
    own = (work.run.key for work in chunk.works)
    earlier = (key for runs in (*stages.values(), *(one.runs for one in befores)) for key in runs)
    records = store.scan(dict.fromkeys((*own, *earlier)))
    return (*checked(chunk, stages, records), records)


def _stages(store: Store, chunk: Chunk, names: set[str]) -> Mapping[str, Mapping[str, str]]:
    name = note_name(chunk.submission)
    try:
        known = read(Earlier, store.read_note(name))
    except FileNotFoundError:
        known = None
    stages = known.__pydantic_extra__ if known else {}
    if not names <= stages.keys():
        raise StoreError(
            f"{store.url}/.pydoit_sc/{name}: not there, or not what `submit` writes; submit again"
        )
    return {stage: stages[stage] for stage in names}


class _State(NamedTuple):
    """What the store has of runs that others come after together."""

    total: int  # the sum of the digests of their attempts
    hindrance: str  # the key of one that is not completed; ""


def checked(
    chunk: Chunk, stages: Mapping[str, Mapping[str, str]], records: Mapping[str, Record]
) -> tuple[Chunk, list[Verdict]]:
    """Return the chunk with the fingerprints that the plan will make from the earlier runs' attempts, and why some are left out."""
    states: dict[int, _State] = {}  # each is looked at once, though many runs come after it
    works, held = [], []
    for work in chunk.works:
        there = records.get(work.run.key)
        if there is not None and there.is_unreadable:  # nor could it be replaced
            held.append(Verdict(Status.INCOMPLETE, there.reason))
            continue
        found = []
        for one in chunk.before.get(work.output, ()):
            if id(one) not in states:
                states[id(one)] = _state(chunk, one, stages, records)
            found.append(states[id(one)])
        hindrance = next((state.hindrance for state in found if state.hindrance), "")
        if hindrance:
            record = records.get(hindrance)
            state = "failed" if record and record.code else "not completed"
            held.append(waiting(judge(work.fingerprint, there), task_of(hindrance), state))
        else:
            works.append(_final(work, found) if found else work)
    return chunk._replace(works=works), held


def _state(
    chunk: Chunk, before: Before, stages: Mapping[str, Mapping[str, str]], records: Mapping[str, Record]
) -> _State:
    runs = stages[before.stage] if before.stage else before.runs
    hindrance = next((key for key, said in runs.items() if not chunk.completed(said, records.get(key))), "")
    return _State(_total(runs, records), hindrance)


def _total(keys: Iterable[str], records: Mapping[str, Record]) -> int:
    return sum(digest_attempt(key, records[key].attempt) for key in keys if key in records)


def _final(work: Work, states: Sequence[_State]) -> Work:
    total = sum(state.total for state in states)
    return work._replace(fingerprint=f"{work.fingerprint.rpartition('-')[0]}-{after_part(total)}")
