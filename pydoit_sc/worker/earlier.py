"""What a chunk of a later stage needs before it starts: every run of the stages that it comes after, completed.

An engine starts such a chunk when the chunks before it have ended, successful or not. So the worker looks into the
store itself. Only then are the attempts of the earlier stages known, which are a part of the fingerprints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import ConfigDict

from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.errors import UserError
from pydoit_sc.fingerprint import digest_runs
from pydoit_sc.store import Record, Store, StoreError
from pydoit_sc.store.stamps import StoredDocument, read


class Earlier(StoredDocument):
    """The fingerprints of the runs of earlier stages when the submission was made, by stage and key."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, str]]


class NotCompletedError(UserError):
    """Runs that must be completed before a chunk starts are not."""


def note_name(submission: str) -> str:
    """Return the name of the note in which a submission keeps the runs of earlier stages."""
    return f"submissions/{submission}/after.json"


def after_earlier(store: Store, chunk: Chunk) -> Chunk:
    """Return the chunk with its final fingerprints; raises NotCompletedError, StoreError."""
    if not chunk.after:
        return chunk
    earlier = _read(store, chunk)
    records = store.scan(key for runs in earlier.values() for key in runs)
    if left := incomplete(chunk, earlier, records):
        which = ", ".join(f"{count:,} of `{stage}`" for stage, count in left.items())
        raise NotCompletedError(f"nothing is executed: runs that must come first are not completed: {which}")
    return with_attempts(chunk, records)


def _read(store: Store, chunk: Chunk) -> Mapping[str, Mapping[str, str]]:
    name = note_name(chunk.submission)
    try:
        known = read(Earlier, store.read_note(name))
    except FileNotFoundError:
        known = None
    stages = known.__pydantic_extra__ if known else {}
    if not set(chunk.after) <= stages.keys():
        raise StoreError(
            f"{store.url}/.pydoit_sc/{name}: not there, or not what `submit` writes; submit again"
        )
    return {stage: stages[stage] for stage in chunk.after}


def incomplete(
    chunk: Chunk, earlier: Mapping[str, Mapping[str, str]], records: Mapping[str, Record]
) -> dict[str, int]:
    """Return the number of runs that are not completed, for each earlier stage that has some."""
    counts = {
        stage: sum(not chunk.completed(fingerprint, records.get(key)) for key, fingerprint in runs.items())
        for stage, runs in earlier.items()
    }
    return {stage: count for stage, count in counts.items() if count}


def with_attempts(chunk: Chunk, records: Mapping[str, Record]) -> Chunk:
    """Return the chunk with the fingerprints that the plan will make from the earlier runs' attempts."""
    digest = digest_runs((key, record.attempt) for key, record in records.items())
    works = [
        replace(work, fingerprint=f"{work.fingerprint.rpartition('-')[0]}-{digest}") for work in chunk.works
    ]
    return replace(chunk, works=works)
