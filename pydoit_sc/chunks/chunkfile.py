"""The file of a chunk, in the seed's format: a pydantic model, and how it is written.

A run in it holds what the published `sc batch` knows and nothing else: `sc` refuses unknown keys of a run. It ignores
unknown keys at the top, so what we add stands there in one object, `pydoit_sc`, with an entry for each run by its
output.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

from pydoit_sc.batch import Batch, Settings, Share
from pydoit_sc.batchfile import schema
from pydoit_sc.plan import Work

#: The key of what we add to a chunk.
EXTRA = "pydoit_sc"

_SECRET = re.compile(r"secret|password|passphrase|token|credential|key", re.IGNORECASE)


def _by(check: schema.Checker, *ready: type | None) -> PlainValidator:
    """Return a validator that accepts what a checker of batchfiles accepts, and values of the types that are `ready`."""
    types = tuple(type(None) if kind is None else kind for kind in ready)

    def validate(value: object) -> Any:
        try:
            return value if isinstance(value, types) else check(value)
        except schema.InvalidError as error:
            raise PydanticCustomError("invalid", "{message}", {"message": error.faults[0][1]}) from error

    return PlainValidator(validate)


def _failures_to_json(most: int | Share | None) -> int | str | None:
    return f"{100 * most.value:.9f} %" if isinstance(most, Share) else most


def _codes_to_json(codes: frozenset[int] | None) -> list[int] | None:
    return None if codes is None else sorted(codes)


Line = Annotated[str, _by(schema.string)]


class _Part(BaseModel):
    """A part of a chunk's file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ScRun(_Part):
    """A run as `sc batch` knows it."""

    remote_output_path: Line = Field(description="the path or URL of the run's output")
    cmd: Annotated[str, _by(schema.command)] = Field(description="the shell command")
    local_results_dir: Line = Field(description="where `sc` lets the run write its results")
    status_code: int | None = Field(
        default=None, description="for `sc`: the run's status code when it was chosen"
    )
    status: str | None = Field(default=None, description="for `sc`: the run's status when it was chosen")


class ExtraSettings(_Part):
    """How our worker executes the runs of one shape."""

    env: Annotated[dict[str, str], _by(schema.environment)] = Field(description="environment variables")
    timeout: Annotated[float | None, _by(schema.timeout, None)] = Field(description="seconds, per attempt")
    grace: Annotated[float, _by(schema.duration)] = Field(description="seconds from SIGTERM to SIGKILL")
    retries: Annotated[int, _by(schema.integer(0))] = Field(description="further attempts after a failure")
    retry_on: Annotated[
        frozenset[int] | None, _by(schema.exit_codes, None, frozenset), PlainSerializer(_codes_to_json)
    ] = Field(description="only after these status codes; null: after every failure")


class ExtraRun(_Part):
    """What we add to a run."""

    task: Line = Field(description="its doit task, `month:2012-01`")
    fingerprint: Line = Field(description="what it depends on")
    settings: int = Field(ge=0, description="its position in `settings`")


class Extra(_Part):
    """What we add to a chunk; `sc` ignores it."""

    submission: Line = Field(description="the id of the submission")
    always: bool = Field(default=False, description="completed runs are executed again, once")
    after: list[Line] = Field(default=[], description="the stages that must be completed first")
    max_failures: Annotated[
        int | Share | None, _by(schema.failures, None, Share), PlainSerializer(_failures_to_json)
    ] = Field(
        default=None, description="after so many failures, or such a share of the runs, no further run starts"
    )
    durable: bool = Field(default=True, description="false: outcomes need not survive a power cut")
    scratch: Annotated[str | None, _by(schema.absolute_path, None)] = Field(
        default=None, description="where runs write before they are published"
    )
    storage_options: dict[str, Any] = Field(default={}, description="fsspec's, without secrets")
    settings: list[ExtraSettings] = Field(description="the settings of the runs, each once")
    runs: dict[str, ExtraRun] = Field(description="by the run's output, `remote_output_path`")


class ChunkFile(_Part):
    """A chunk as a file: the seed's three keys, and what we add."""

    runs: list[ScRun] = Field(description="the runs")
    remote_output_path: Line = Field(description="where the batch's outputs go")
    nprocs: Annotated[int | str, _by(schema.processes)] = Field(description="runs at once")
    pydoit_sc: Extra | None = Field(default=None, description="what we add; missing in a chunk of `sc`")

    def text(self) -> str:
        """Return the file's text; in ASCII, since `sc` reads it in the encoding of its locale."""
        return json.dumps(self.model_dump(mode="json"), indent=1)


def chunk_text(  # noqa: PLR0913 (each is a key of the chunk)
    batch: Batch,
    works: Sequence[Work],
    *,
    nprocs: int | str,
    submission: str,
    always: bool = False,
    after: Sequence[str] = (),
) -> str:
    """Return the text of a chunk of these runs.

    Only our worker knows `nprocs` "cores" and "gpus", and `after`, the stages that must be completed first.
    """
    positions: dict[int, int] = {}
    settings: list[ExtraSettings] = []
    runs: dict[str, ExtraRun] = {}
    for work in works:
        own = work.run.settings
        if id(own) not in positions:
            positions[id(own)] = len(settings)
            settings.append(_extra_settings(own))
        runs[work.output] = ExtraRun(
            task=work.task, fingerprint=work.fingerprint, settings=positions[id(own)]
        )
    extra = Extra(
        submission=submission,
        always=always,
        after=list(after),
        max_failures=batch.max_failures,
        durable=batch.durable,
        scratch=batch.scratch,
        storage_options=without_secrets(batch.storage_options),
        settings=settings,
        runs=runs,
    )
    return ChunkFile(
        runs=[_sc_run(work) for work in works],
        remote_output_path=batch.remote_output_path,
        nprocs=nprocs,
        pydoit_sc=extra,
    ).text()


def _sc_run(work: Work) -> ScRun:
    results = work.run.local_results_dir or f"/tmp/{uuid.uuid4().hex}/"
    return ScRun(remote_output_path=work.output, cmd=work.run.cmd, local_results_dir=results)


def _extra_settings(settings: Settings) -> ExtraSettings:
    return ExtraSettings(
        env=dict(settings.env),
        timeout=settings.timeout,
        grace=settings.grace,
        retries=settings.retries,
        retry_on=settings.retry_on,
    )


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a store's options without those that may be secrets: a chunk travels, and is kept.

    A worker finds secrets where the cloud's own tools do, in its environment.

    >>> without_secrets({"endpoint_url": "http://host", "client_kwargs": {"aws_secret_access_key": "canary"}})
    {'endpoint_url': 'http://host', 'client_kwargs': {}}
    """
    return {
        name: without_secrets(value) if isinstance(value, dict) else value
        for name, value in options.items()
        if not _SECRET.search(name)
    }
