"""The tables of a batchfile that are there once: `[batch]` and `[sync]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from pydoit_sc.batch import PATIENCE
from pydoit_sc.batchfile.fields import (
    Anything,
    Bool,
    Command,
    Count,
    Duration,
    HomePaths,
    MaxFailures,
    Nprocs,
    Place,
    Size,
    Text,
    Texts,
    absolute,
    not_a_file,
)  # fmt: skip
from pydoit_sc.batchfile.tables import AttemptTable, Table


class BatchTable(AttemptTable):
    """`[batch]`: where the outputs go, and how workers work."""

    remote_output_path: Place | None = Field(
        default=None,
        description="where the outputs go: any fsspec URL, or a path that counts from this file; `$NAME` is a variable of the "
        "environment; required",
    )
    name: Text | None = Field(default=None, description="name of the batch; left out: that of the folder")
    nprocs: Nprocs | None = Field(
        default=None,
        description='runs at once on a machine: a number, `"cores"`, or `"gpus"`, where each run sees its own GPU in '
        '`CUDA_VISIBLE_DEVICES`; left out: `"cores"`, at Saturn Cloud the GPUs or cores of the instance type',
    )
    scale: Count | None = Field(default=None, description="machines at once, for engines that have several")
    batch_size: Count | None = Field(
        default=None, description="runs in a chunk; left out: as many as hold 3 × `nprocs` slots"
    )
    max_failures: MaxFailures | None = Field(
        default=None,
        description='failures after which no further run starts: a number, or a share such as `"5 %"`; left out: '
        "20 that are alike, while no run is completed",
    )
    scratch: Annotated[Place, AfterValidator(absolute), AfterValidator(not_a_file)] | None = Field(
        default=None,
        description="folder on a local disk, as an absolute path, where runs write before they are published, made if it is "
        "missing; `$NAME` as above",
    )
    durable: Bool = Field(
        default=True, description="`false`: outputs survive killed processes, but not a power cut"
    )
    patience: Duration = Field(
        default=PATIENCE,
        description='how long a worker waits for an object store that cannot be reached, before it stops; `"10m"` if left out; '
        "what has ended meanwhile is published when the store is back",
    )
    min_free_memory: Size | None = Field(
        default=None,
        description='no run is started while less memory is available on the machine, such as `"2 GB"`',
    )
    storage_options: Anything = Field(
        default_factory=dict,
        description="options of the store, by fsspec's names; secrets among them stay out of chunks, so workers need them in "
        "their environment",
    )
    on_failure: Command | None = Field(
        default=None,
        description="a command that is run once at the end of a `run`, or of a submission, of which runs have failed or could not "
        "be executed; it finds the counts in its environment, `PYDOIT_SC_FAILED` and others",
    )
    on_finish: Command | None = Field(
        default=None,
        description="a command that is run once at every such end, whether or not runs have failed",
    )
    runs_from: Text | None = Field(
        default=None,
        description="a run list in JSON, JSON Lines, YAML, CSV or TSV, or a command on each line, in place of `[runs]`",
    )


class SyncTable(Table):
    """`[sync]`: the folders that are sent to the workers."""

    dirs: HomePaths = Field(default=(), description="folders to send, as `SRC` or `SRC:DEST`")
    exclude: Texts = Field(default=(), description="what is left out, as in a .gitignore")
    to: Place | None = Field(
        default=None,
        description="URL below which the archives lie, `$NAME` as in [batch]; left out: in the store",
    )
