"""The JSON documents in a store that are written or read one by one: a whole `run.json`, leases, what is held."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, computed_field

from pydoit_sc.store.stamps import Host, Live, Size, Stamp, StoredDocument

Seconds = Annotated[float, AfterValidator(lambda seconds: round(seconds, 3))]


class FileEntry(StoredDocument):
    """A file beside `run.json`."""

    size: Size = Field(description="bytes")
    md5: str | None = Field(
        default=None,
        description="the MD5 of its content, in hexadecimal; not of links, nor of very large files",
    )


class Code(StoredDocument):
    """The code that a run was executed with, where that is a work tree of git."""

    commit: str = Field(pattern=r"\A[0-9a-f]{40}([0-9a-f]{24})?\z", description="the commit")
    dirty: bool = Field(description="whether files that git tracks differed from it when the worker started")


class Manifest(Stamp):
    """A `run.json` that lists the files beside it; those of our first version do not."""

    files: dict[str, FileEntry] | None = Field(
        default=None, description="the files beside `run.json`, by path below the output"
    )


class Provenance(Manifest):
    """A whole `run.json`: how an attempt came about."""

    cmd: str = Field(description="the command")
    host: Host = Field(description="the machine")
    rank: int = Field(description="the rank that the run held")
    started: Seconds = Field(description="seconds since the epoch")
    finished: Seconds = Field(description="seconds since the epoch")
    cpu_seconds: Seconds = Field(
        description="processor time of the run and of the processes that it has waited for"
    )
    retry_codes: list[int] = Field(
        default=[], description="status codes of the earlier attempts that were retried"
    )
    timed_out: bool = Field(default=False, description="whether the run was stopped for its `timeout`")
    left_behind: int | None = Field(
        default=None, description="processes that still lived when the run's shell ended, and were killed"
    )

    axes: dict[str, bool | int | float | str] | None = Field(
        default=None, description="the values of the axes, by what placeholders name of them"
    )
    env: dict[str, str] | None = Field(
        default=None, description="digests of the variables that the batchfile sets"
    )
    file_dep: dict[str, str] | None = Field(
        default=None,
        description="digests of the files, or of their folders, with `/` at their ends, where they are many",
    )

    code: Code | None = Field(default=None, description="the code, where that is a work tree of git")

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


class Hold(StoredDocument):
    """What is held by a worker: a chunk, or a run whose outcome is being replaced."""

    worker: str = Field(default="", description="the holder")


class Mark(StoredDocument):
    """Who has made a worker's folder."""

    host: Host = Field(default="an unknown host", description="the machine")
    here: str = Field(default="", description="the machine, this start of it and the container")
    pid: int = Field(default=0, ge=0, lt=1 << 31, description="the worker's process")
    started: str = Field(default="", description="when that process was started")


class Lease(Hold, Mark):
    """A worker's lease on an object store."""

    time: float = Field(default=0.0, description="seconds since the epoch; makes every renewal a new version")
    running: dict[str, Live] = Field(default={}, description="the attempts that it is executing, by key")
    holds: list[str] = Field(
        default=[], description="digests of the keys of runs that no other worker should execute"
    )
    deaths: dict[str, Annotated[int, Field(ge=0, le=999)]] = Field(
        default={},
        description="of runs that a dead worker held: how many will have died in a row while they executed it "
        "if this one dies now",
    )
    ended_by: str | None = Field(
        default=None, description="the worker that has ended this lease, its own where it has come to its end"
    )
