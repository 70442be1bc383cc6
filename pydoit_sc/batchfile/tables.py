"""The tables of a batchfile as pydantic models: the schema of what users write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from pydoit_sc.batch import PATIENCE, Settings
from pydoit_sc.batchfile.fields import (
    Anything,
    Bool,
    Command,
    Count,
    Duration,
    Environment,
    ExitCodes,
    MaxFailures,
    Natural,
    Nprocs,
    Place,
    RunName,
    Shell,
    Size,
    Text,
    Texts,
    Timeout,
    absolute,
)
from pydoit_sc.models import Deferred


class Table(Deferred):
    """A table: no key that is not known, nothing converted in silence, and no change once it is read.

    An engine's own table is a subclass, with a description for every key:

        class SlurmTable(Table):
            partition: Text | None = Field(default=None, description="the partition of the jobs")
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    #: The words for such a table in messages: `expected a run (a table with `cmd`), found 3`.
    what: ClassVar[str] = "a table"
    #: Keys that belong elsewhere, each with the words that say so.
    misplaced: ClassVar[Mapping[str, str]] = {}


class AttemptTable(Table):
    """How an attempt is executed: in [batch], in a stage, in a run. A narrower table wins over a wider one."""

    env: Environment = Field(
        default_factory=dict,
        description="environment variables of the runs; those of a narrower table are added",
    )
    timeout: Timeout | None = Field(
        default=None,
        description='longest duration of an attempt, in seconds or as `"90s"`, `"10m"`, `"1h 30m"`; then SIGTERM to all of its '
        "processes, and SIGKILL after `grace`",
    )
    grace: Duration = Field(
        default=10.0,
        description="duration between SIGTERM and SIGKILL for a run that is told to stop; left out: 10 s",
    )
    retries: Natural = Field(default=0, description="further attempts after a failure")
    retry_on: ExitCodes | None = Field(
        default=None, description="retry only after these status codes; left out: after every failure"
    )
    shell: Shell = Field(
        default=(),
        description='the shell of the commands: `"bash"`, which means `["bash", "-c"]`, or a list of its words such as '
        '`["bash", "-euo", "pipefail", "-c"]`; left out: `"sh"`',
    )
    slots: Count = Field(
        default=1,
        description="how many of `nprocs` the run holds while it executes, for its threads, or its GPUs; left out: 1",
    )
    memory: Size | None = Field(
        default=None,
        description='memory that a run may use, all its processes together, such as `"4 GB"` or `"512 MiB"`; one that uses more '
        "is killed, with status code 137",
    )

    def over(self, wider: Settings) -> Settings:
        """Return the settings of a wider table with what this one gives."""
        given = self.model_fields_set & _SETTINGS
        changes: dict[str, Any] = {key: getattr(self, key) for key in given}
        if "env" in changes:
            changes["env"] = {**wider.env, **changes["env"]}
        if changes.get("retry_on") is not None:
            changes["retry_on"] = frozenset(changes["retry_on"])
        return wider._replace(**changes) if changes else wider


_SETTINGS = {*AttemptTable.model_fields, "file_dep"}


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
    scratch: Annotated[Place, AfterValidator(absolute)] | None = Field(
        default=None,
        description="folder on a local disk where runs write before they are published; `$NAME` as above",
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


class RunTable(AttemptTable):
    """A run of a plain list, `[[runs]]`."""

    what = "a run (a table with `cmd`)"
    misplaced = dict.fromkeys(
        ("after", "matrix"), "makes no sense in a plain list of runs; write stages, [runs.NAME]"
    )

    cmd: Command = Field(description="the shell command")
    name: RunName | None = Field(
        default=None, description="name of the run; left out: its position in the list"
    )
    file_dep: Texts = Field(
        default=(), description="files, folders and patterns; an edit makes completed runs stale"
    )


class ListedRun(RunTable):
    """A run of a run list; `sc` writes the last four keys."""

    remote_output_path: Text | None = Field(
        default=None, description="where the output goes, below the list's own"
    )
    local_results_dir: Text | None = Field(default=None, description="read by `sc` alone")
    status_code: Any = Field(default=None, description="not read")
    status: Any = Field(default=None, description="not read")


class SyncTable(Table):
    """`[sync]`: the folders that are sent to the workers."""

    dirs: Texts = Field(default=(), description="folders to send, as `SRC` or `SRC:DEST`")
    exclude: Texts = Field(default=(), description="what is left out, as in a .gitignore")
    to: Place | None = Field(
        default=None,
        description="URL below which the archives lie, `$NAME` as in [batch]; left out: in the store",
    )
