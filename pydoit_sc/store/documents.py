"""The JSON documents in a store, as models: `run.json`, leases, what is held, what is executing.

Everything in a store may have been written by somebody else, so a document that is not sound is read as None or as an
empty one, and never ends a worker. Keys that a model does not know are ignored.
"""

from __future__ import annotations

import json
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError, computed_field

from pydoit_sc.store.layout import Record, parse_status_code


class _Written(BaseModel):
    def to_json(self) -> bytes:
        """Return the bytes of the document, in ASCII: names that are not UTF-8 are escaped, too."""
        return json.dumps(self.model_dump(exclude_none=True)).encode()


class _Document(_Written):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, defer_build=True)


M = TypeVar("M", bound=BaseModel)
Seconds = Annotated[float, AfterValidator(lambda seconds: round(seconds, 3))]


class Stamp(_Document):
    """What a scan reads of a `run.json`; all other keys may be missing."""

    fingerprint: str = Field(description="what the run depended on")
    attempt: str = Field(  # becomes the name of a folder in the history
        max_length=64, pattern=r"\A[0-9A-Za-z_-]*\z", description="the attempt's id"
    )
    submission: str | None = Field(default=None, description="the submission that it was executed for")
    status_code: int | None = Field(default=None, description="the status code, as in the file beside it")


class FileEntry(_Document):
    """A file beside `run.json`."""

    size: int = Field(description="bytes")
    md5: str | None = Field(
        default=None, description="the MD5 of its content, in hexadecimal; not on file systems"
    )


class Manifest(Stamp):
    """A `run.json` that lists the files beside it; those of our first version do not."""

    files: dict[str, FileEntry] | None = Field(
        default=None, description="the files beside `run.json`, by path below the output"
    )


class Provenance(Manifest):
    """A whole `run.json`: how an attempt came about."""

    cmd: str = Field(description="the command")
    host: str = Field(description="the machine")
    rank: int = Field(description="the rank that the run held")
    started: Seconds = Field(description="seconds since the epoch")
    finished: Seconds = Field(description="seconds since the epoch")
    cpu_seconds: Seconds = Field(description="processor time of the run and its children")
    peak_memory: int = Field(description="the largest resident memory of a process, in bytes")
    retry_codes: list[int] = Field(
        default=[], description="status codes of the earlier attempts that were retried"
    )
    timed_out: bool = Field(default=False, description="whether the run was stopped for its `timeout`")

    @computed_field(description="seconds from start to end")  # type: ignore[prop-decorator]
    @property
    def seconds(self) -> float:
        """The time from start to end."""
        return round(self.finished - self.started, 3)

    @computed_field(description="the number of attempts that were retried")  # type: ignore[prop-decorator]
    @property
    def retries(self) -> int:
        """The number of earlier attempts that were retried."""
        return len(self.retry_codes)


class Live(_Document):
    """An attempt that a worker is executing."""

    host: str = Field(description="the machine")
    folder: str = Field(description="the attempt's folder on that machine")
    since: float = Field(description="seconds since the epoch")


class Running(RootModel[dict[str, Live]], _Written):
    """What a worker on a file system says it is executing, by key."""

    model_config = ConfigDict(frozen=True, strict=True, defer_build=True)


class Hold(_Document):
    """What is held by a worker: a chunk, or a run whose outcome is being replaced."""

    worker: str = Field(default="", description="the holder")


class Lease(Hold):
    """A worker's lease on an object store."""

    host: str = Field(default="an unknown host", description="the machine")
    here: str = Field(default="", description="the machine, this start of it and the container")
    pid: int = Field(default=0, ge=0, lt=1 << 32, description="the worker's process")
    started: str = Field(default="", description="when that process was started")
    time: float = Field(default=0.0, description="seconds since the epoch; makes every renewal a new version")
    running: dict[str, Live] = Field(default={}, description="the attempts that it is executing, by key")
    ended_by: str | None = Field(default=None, description="the worker that has ended this lease")


def read(model: type[M], data: bytes) -> M | None:
    """Return a document, or None where it is not sound.

    >>> read(Hold, b'{"worker": "w1"}'), read(Hold, b'{"worker"')
    (Hold(worker='w1'), None)
    """
    try:
        return model.model_validate_json(data)
    except ValidationError:
        pass
    try:  # a name that is not UTF-8 stands there as a lone surrogate, which only this parser accepts
        return model.model_validate(json.loads(data))
    except (ValueError, RecursionError):
        return None


def parse_record(status_code: bytes, run_json: bytes | None) -> Record:
    """Combine the two small files of a run; a `run.json` that is missing, torn or of another outcome is ignored."""
    code = parse_status_code(status_code)
    stamp = read(Stamp, run_json) if run_json is not None else None
    # Another code: the run was replaced between the reading of one file and of the other.
    if stamp is None or stamp.status_code not in (None, code):
        return Record(code)
    return Record(code, stamp.attempt, stamp.fingerprint, stamp.submission or "")


def attempt_of(run_json: bytes) -> str:
    """Return the attempt that a `run.json` is of; "" where it does not say."""
    stamp = read(Stamp, run_json)
    return stamp.attempt if stamp else ""
