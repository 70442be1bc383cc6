"""What a scan reads of the documents in a store, of which there may be a million.

Everything in a store may have been written by another user, so a document that is not sound is read as None or as an
empty one, and never ends a worker. Keys that a model does not know are ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pydoit_sc.errors import on_a_line
from pydoit_sc.models import Deferred, build
from pydoit_sc.store.layout import Current, Record, duration, parse_status_code

M = TypeVar("M", bound=BaseModel)


#: The name of a machine, which is shown in the midst of lines.
Host = Annotated[str, AfterValidator(on_a_line)]

#: Bytes that there can be.
Size = Annotated[int, Field(ge=0, le=1 << 63)]


class StoredDocument(Deferred):
    """A document in a store: strict, and without the keys that are not known."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    def to_json(self) -> bytes:
        """Return the bytes of the document, in ASCII: names that are not UTF-8 are escaped, too."""
        return json.dumps(self.model_dump(exclude_none=True)).encode()


class Stamp(StoredDocument):
    """What a scan reads of a `run.json`; all other keys may be missing."""

    fingerprint: str = Field(description="what the run depended on")
    attempt: str = Field(  # becomes the name of a folder in the history
        max_length=64, pattern=r"\A[0-9A-Za-z_-]*\z", description="the attempt's id"
    )
    lease: str | None = Field(
        default=None,
        max_length=64,
        pattern=r"\A[0-9A-Za-z_-]*\z",
        description="the lease under which it was published, where its worker's first had ended",
    )
    submission: str | None = Field(default=None, description="the submission that it was executed for")
    status_code: int | None = Field(default=None, description="the status code, as in the file beside it")
    reason: str | None = Field(
        default=None, description="why it failed, where that was not its own exit code"
    )
    started: float | None = Field(default=None, description="seconds since the epoch")
    finished: float | None = Field(default=None, description="seconds since the epoch")
    host: Host | None = Field(default=None, description="the machine")
    rank: int | None = Field(default=None, description="the rank that the run held")
    cpu_seconds: float | None = Field(default=None, description="processor time of the run and its children")
    peak_memory: Size | None = Field(
        default=None,
        description="the largest resident memory of a process, in bytes; missing if less than the worker's own",
    )


class Live(StoredDocument):
    """An attempt that a worker is executing."""

    host: Host = Field(description="the machine")
    folder: str = Field(description="the attempt's folder on that machine")
    since: float = Field(description="seconds since the epoch")
    rank: int | None = Field(default=None, description="the rank that the run holds")


def read(model: type[M], data: bytes) -> M | None:
    """Return a document, or None where it is not sound.

    >>> read(Live, b'{"host": "a", "folder": "/f", "since": 1.5}'), read(Live, b'{"host"')
    (Live(host='a', folder='/f', since=1.5, rank=None), None)
    """
    build(model)
    try:
        return model.model_validate_json(data)
    except ValidationError:
        pass
    try:  # a name that is not UTF-8 is a lone surrogate there, which only this parser accepts
        return _checked(model, json.loads(data))
    except (ValueError, RecursionError):
        return None


def _checked(model: type[M], found: object) -> M | None:
    try:
        return model.model_validate(found)
    except (ValidationError, RecursionError):
        return None


#: How our worker begins a `run.json` that has nothing to escape: read so, it takes half the time of the model.
_WRITTEN = re.compile(
    rb'\{"fingerprint": "([0-9a-f-]*)", "attempt": "([\w-]{0,64})", (?:"submission": "([ !#-\[\]-~]*)", )?'
    rb'"status_code": (\d{1,3}), (?:"reason": "([ !#-\[\]-~]*)", )?"started": (\d+\.\d+), "finished": (\d+\.\d+), '
    rb'"host": "([ !#-\[\]-~]*)", "rank": (\d{1,6}), "cpu_seconds": (\d+\.\d+), '
    rb'(?:"peak_memory": (\d{1,18}), )?"files": \{'
)


def parse_written(status_code: bytes, run_json: bytes) -> Record | None:
    """Return what `parse_record` does where our worker has written both; None where that does not show quickly."""
    match = _WRITTEN.match(run_json)
    if match is None or not run_json.endswith(b"}"):
        return None
    fingerprint, attempt, submission, code, reason, started, ended, host, rank, cpu, memory = match.groups()
    if code != status_code or (len(code) > 2 and code > b"255"):
        return None
    return Record(
        int(code),
        attempt.decode(),
        fingerprint.decode(),
        submission.decode() if submission else "",
        reason.decode() if reason else "",
        float(started),
        float(ended),
        host.decode(),
        int(memory) if memory else 0,
        int(rank),
        float(cpu),
    )


#: How it begins where the run is completed, as far as that matters to somebody who asks whether it is current.
_COMPLETED = re.compile(
    rb'\{"fingerprint": "([0-9a-f-]*)", "attempt": "([\w-]{0,64})", (?:"submission": "[ !#-\[\]-~]*", )?'
    rb'"status_code": 0, "started": (\d+\.\d+), "finished": (\d+\.\d+), "host": "'
)


def parse_current(status_code: bytes, run_json: bytes, fingerprint: str) -> Current | None:
    """Return what is told of an outcome of this fingerprint; None where it is not completed and current, or that does not show quickly."""
    match = _COMPLETED.match(run_json)
    if match is None or status_code != b"0" or not run_json.endswith(b"}"):
        return None
    found, attempt, started, ended = match.groups()
    if found.decode() != fingerprint:
        return None
    return Current(attempt.decode(), duration(float(started), float(ended)))


def parse_record(status_code: bytes, run_json: bytes | None) -> Record:
    """Combine the two small files of a run; a `run.json` that is missing, torn or of another outcome is ignored."""
    if run_json is not None and (written := parse_written(status_code, run_json)) is not None:
        return written
    code = parse_status_code(status_code)
    stamp = read(Stamp, run_json) if run_json is not None else None
    # Another code: the run was replaced between the reading of one file and of the other.
    if stamp is None or stamp.status_code not in (None, code):
        return Record(code)
    return Record(
        code,
        stamp.attempt,
        stamp.fingerprint,
        stamp.submission or "",
        stamp.reason or "",
        stamp.started or 0.0,
        stamp.finished or 0.0,
        stamp.host or "",
        stamp.peak_memory or 0,
        stamp.rank,
        stamp.cpu_seconds or 0.0,
    )


class Claim(NamedTuple):
    """Whose a run's key is, as its `run.json` says."""

    attempt: str = ""
    lease: str = ""  # the name of the lease under which that attempt is published


def claim_of(run_json: bytes) -> Claim:
    """Return whose a run's key is; an empty one where it does not say.

    >>> claim_of(b'{"fingerprint": "f", "attempt": "a-1"}')
    Claim(attempt='a-1', lease='a')
    """
    stamp = read(Stamp, run_json)
    return Claim(stamp.attempt, stamp.lease or stamp.attempt.partition("-")[0]) if stamp else Claim()


def write_running(live: Mapping[str, Live]) -> bytes:
    """Return the document in which a worker on a file system says what it is executing, by key."""
    return json.dumps({key: attempt.model_dump() for key, attempt in live.items()}).encode()


def read_running(data: bytes) -> dict[str, Live]:
    """Return what a worker says it is executing; what is not sound of it is left out."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    build(Live)
    items = found.items() if isinstance(found, dict) else ()
    checked = ((key, _checked(Live, item)) for key, item in items)
    return {key: live for key, live in checked if live is not None}
