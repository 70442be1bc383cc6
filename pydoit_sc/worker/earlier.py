"""What a chunk of a later stage needs before it starts: every run of the stages that it comes after, completed.

An engine starts such a chunk when the chunks before it have ended, however they have ended. So the worker looks
into the store itself. Only then are the earlier stages' attempts known, which are a part of the fingerprints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from pydoit_sc.chunks.chunk import Chunk
from pydoit_sc.fingerprint import digest_runs
from pydoit_sc.store import Record, Store, StoreError

#: The fingerprints of the runs of earlier stages when the submission was made, by stage and key.
Earlier = Mapping[str, Mapping[str, str]]


def note_name(submission: str) -> str:
    """Return the name of the note in which a submission keeps the runs of earlier stages."""
    return f"submissions/{submission}/after.json"


def read_earlier(store: Store, chunk: Chunk) -> tuple[Earlier, dict[str, Record]]:
    """Return the runs that a chunk comes after, and what the store has of them; raises StoreError."""
    name = note_name(chunk.submission)
    try:
        known = json.loads(store.read_note(name))
        earlier = {stage: known[stage] for stage in chunk.after}
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{store.url}/.pydoit_sc/{name}: not what `submit` writes ({error!r})") from error
    return earlier, store.scan(key for runs in earlier.values() for key in runs)


def incomplete(chunk: Chunk, earlier: Earlier, records: Mapping[str, Record]) -> dict[str, int]:
    """Return how many runs of each earlier stage are not completed, for those stages where some are not."""
    counts = {
        stage: sum(not chunk.completed(fingerprint, records.get(key)) for key, fingerprint in runs.items())
        for stage, runs in earlier.items()
    }
    return {stage: count for stage, count in counts.items() if count}


def with_attempts(chunk: Chunk, records: Mapping[str, Record]) -> Chunk:
    """Return the chunk with its runs' fingerprints as the plan will make them, from the earlier runs' attempts."""
    digest = digest_runs((key, record.attempt) for key, record in records.items())
    works = [replace(work, fingerprint=_with_last_part(work.fingerprint, digest)) for work in chunk.works]
    return replace(chunk, works=works)


def _with_last_part(fingerprint: str, part: str) -> str:
    return f"{fingerprint.rpartition('-')[0]}-{part}"
