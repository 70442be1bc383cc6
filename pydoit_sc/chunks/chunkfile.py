"""The file of a chunk, in the seed's format: a pydantic model, and how it is written.

A run in it holds what the published `sc batch` knows and nothing else: `sc` refuses unknown keys of a run. It ignores
unknown keys at the top, so what we add is there, in one object, `pydoit_sc`, with an entry for each run by its
output.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer

from pydoit_sc.batch import PATIENCE, Batch, Settings, Share
from pydoit_sc.batchfile.fields import (
    Anything,
    AxisValues,
    Bool,
    Command,
    Count,
    Duration,
    MaxFailures,
    Natural,
    Nprocs,
    Path,
    RunName,
    Size,
    Text,
    list_of,
    table_of,
)
from pydoit_sc.batchfile.tables import AttemptTable, Table
from pydoit_sc.chunks.chunk import Before
from pydoit_sc.fingerprint import split_parts
from pydoit_sc.ledger import Work

#: The key of what we add to a chunk.
EXTRA = "pydoit_sc"

#: The options of stores that may be written: no other is, since nobody knows what the next one holds.
_WRITTEN = frozenset(
    {
        "endpoint_url",
        "anon",
        "profile",
        "client_kwargs",
        "region_name",
        "config_kwargs",
        "connect_timeout",
        "read_timeout",
        "retries",
        "max_attempts",
        "mode",
        "requester_pays",
        "use_ssl",
        "verify",
        "signature_version",
        "s3",
        "addressing_style",
        "default_block_size",
        "default_cache_type",
        "max_concurrency",
        "account_name",
        "tenant_id",
        "project",
        "consistency",
        "host",
        "port",
        "username",
        "user",
        "timeout",
        "auto_mkdir",
    }
)


def _failures_to_json(most: int | Share | None) -> int | str | None:
    return f"{100 * most.value:.9f} %" if isinstance(most, Share) else most


class ScRun(Table):
    """A run as `sc batch` knows it."""

    remote_output_path: Text = Field(description="the path or URL of the run's output")
    cmd: Command = Field(description="the shell command")
    local_results_dir: Text = Field(description="where `sc` lets the run write its results")
    status_code: int | None = Field(
        default=None, description="for `sc`: the run's status code when it was chosen"
    )
    status: str | None = Field(default=None, description="for `sc`: the run's status when it was chosen")


class ExtraRun(Table):
    """What we add to a run."""

    task: Text = Field(description="its doit task, `month:2012-01`")
    fingerprint: Text = Field(description="what it depends on")
    settings: Natural = Field(description="the position of its settings in the chunk's")
    after: Annotated[tuple[Natural, ...], list_of("a list of positions")] = Field(
        default=(), description="the positions in the chunk's `before` of what must be completed first"
    )
    axes: AxisValues = Field(default_factory=dict, description="the values of its axes")


class BeforeTable(Table):
    """Runs that others come after: some by their fingerprints, or a whole stage."""

    stage: str = Field(default="", description="the stage; its runs are in a note of the submission")
    runs: Annotated[dict[RunName, Text], table_of("a table of runs")] = Field(
        default_factory=dict, description="fingerprints by key"
    )


class Extra(Table):
    """What we add to a chunk; `sc` ignores it."""

    submission: Text = Field(description="the id of the submission")
    always: Bool = Field(default=False, description="completed runs are executed again, once")
    batch_size: Count | None = Field(
        default=None, description="runs in a chunk, as the batch says: with another size it is cut again"
    )
    at_most: Count | None = Field(default=None, description='runs at once, where `nprocs` is "gpus"')
    before: Annotated[tuple[BeforeTable, ...], list_of("a list of tables")] = Field(
        default=(), description="what runs come after, each once"
    )
    max_failures: Annotated[MaxFailures | None, PlainSerializer(_failures_to_json)] = Field(
        default=None, description="after so many failures, or such a share of the runs, no further run starts"
    )
    durable: Bool = Field(default=True, description="false: outcomes need not survive a power cut")
    patience: Duration = Field(
        default=PATIENCE, description="seconds for which an object store is waited for that cannot be reached"
    )
    scratch: Path | None = Field(default=None, description="where runs write before they are published")
    min_free_memory: Size | None = Field(
        default=None, description="bytes that must be available for a run to be started"
    )
    storage_options: Anything = Field(default_factory=dict, description="fsspec's, without secrets")
    settings: Annotated[tuple[AttemptTable, ...], list_of("a list of settings")] = Field(
        description="the settings of the runs, each once"
    )
    file_dep: Annotated[dict[str, dict[str, Text]], table_of("a table of digests")] = Field(
        default_factory=dict,
        description="digests of files, for `run.json`, by the part of the fingerprint for `file_dep`",
    )
    runs: Annotated[dict[str, ExtraRun], table_of("a table of runs")] = Field(
        description="by the run's output, `remote_output_path`"
    )


class ChunkFile(Table):
    """A chunk as a file: the seed's three keys, and what we or its user add."""

    runs: Annotated[tuple[ScRun, ...], list_of("a list of runs")] = Field(description="the runs")
    remote_output_path: Text = Field(description="where the batch's outputs go")
    nprocs: Nprocs = Field(description="runs at once")
    max_failures: MaxFailures | None = Field(
        default=None,
        exclude=True,
        description="written by its user, as in a run list: in place of what the batch says",
    )
    pydoit_sc: Extra | None = Field(default=None, description="what we add; missing in a chunk of `sc`")


def chunk_text(  # noqa: PLR0913 (each is a key of the chunk)
    batch: Batch,
    works: Sequence[Work],
    *,
    nprocs: int | Literal["cores", "gpus"],
    submission: str,
    always: Bool = False,
    before: Mapping[str, Sequence[Before]] = MappingProxyType({}),
) -> str:
    """Return the text of a chunk of these runs, a run a line; in ASCII, since `sc` reads it in the encoding of its locale.

    Only our worker knows `nprocs` "cores" and "gpus", and `before`, what must be completed first, by the run's output.
    """
    known: dict[int, int] = {}
    tables: list[BeforeTable] = []
    positions: dict[tuple[object, ...], int] = {}
    settings: list[AttemptTable] = []
    runs: dict[str, dict[str, Any]] = {}
    for work in works:
        own = work.run.settings
        shape = (id(own.env), *own._replace(file_dep=())[1:])  # `file_dep` is no worker's business
        if shape not in positions:
            positions[shape] = len(settings)
            settings.append(_attempt_table(own))
        for one in before.get(work.output, ()):
            if id(one) not in known:
                known[id(one)] = len(tables)
                tables.append(BeforeTable.model_construct(stage=one.stage, runs=dict(one.runs)))
        # By hand, since there may be a million: as `ExtraRun`, and `ScRun` below; a test compares them.
        runs[work.output] = {
            "task": work.task,
            "fingerprint": work.fingerprint,
            "settings": positions[shape],
            "after": [known[id(one)] for one in before.get(work.output, ())],
            "axes": dict(work.axes),
        }
    extra = Extra(
        submission=submission,
        always=always,
        batch_size=batch.batch_size,
        at_most=batch.at_most,
        before=tuple(tables),
        max_failures=batch.max_failures,
        durable=batch.durable,
        patience=batch.patience,
        scratch=batch.scratch,
        min_free_memory=batch.min_free_memory,
        storage_options=without_secrets(batch.storage_options),
        settings=tuple(settings),
        file_dep={
            split_parts(work.fingerprint)["file_dep"]: dict(work.files) for work in works if work.files
        },
        runs={},
    )
    file = ChunkFile(runs=(), remote_output_path=batch.remote_output_path, nprocs=nprocs, pydoit_sc=extra)
    whole = file.model_dump(exclude={"runs"})
    whole[EXTRA]["runs"] = runs
    lines = ",\n".join([json.dumps(_sc_run(work)) for work in works])
    return f'{{"runs": [\n{lines}\n],\n{json.dumps(whole)[1:]}'


def _sc_run(work: Work) -> dict[str, Any]:
    return {
        "remote_output_path": work.output,
        "cmd": work.run.cmd,
        "local_results_dir": work.run.local_results_dir or f"/tmp/{uuid.uuid4().hex}/",
        "status_code": None,
        "status": None,
    }


def _attempt_table(settings: Settings) -> AttemptTable:
    return AttemptTable(
        env=dict(settings.env),
        timeout=settings.timeout,
        grace=settings.grace,
        retries=settings.retries,
        retry_on=None if settings.retry_on is None else tuple(sorted(settings.retry_on)),
        shell=settings.shell,
        slots=settings.slots,
        memory=settings.memory,
    )


def without_secrets(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a store's options that are known to be no secrets: a chunk travels, and is kept.

    A worker finds secrets where the cloud's own tools do, in its environment.

    >>> without_secrets({"endpoint_url": "http://host", "client_kwargs": {"aws_secret_access_key": "canary"}})
    {'endpoint_url': 'http://host', 'client_kwargs': {}}
    """
    return {
        name: without_secrets(value) if isinstance(value, dict) else value
        for name, value in options.items()
        if name in _WRITTEN
    }
