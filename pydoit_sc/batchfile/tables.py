"""The tables of a batchfile as pydantic models, the schema of what users write: what several have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ConfigDict, Field

from pydoit_sc.batch import Settings
from pydoit_sc.batchfile.fields import (
    Count,
    Duration,
    Environment,
    ExitCodes,
    Natural,
    Shell,
    Size,
    Timeout,
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
