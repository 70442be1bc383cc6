"""The table [dask] of a batchfile: which cluster, one that is there or one to start."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from pydoit_sc.batchfile.errors import nearest, show
from pydoit_sc.batchfile.fields import Address, Anything, Positive, Text, fault, table_of
from pydoit_sc.batchfile.tables import Table

EITHER = (
    'expected either `address = "tcp://HOST:PORT"`, of a cluster that is there, or `cluster`, one to start ("local", "ssh" '
    "or the dotted name of a class)"
)

_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
_SHORT = {"local": "distributed.LocalCluster", "ssh": "distributed.SSHCluster"}


def _cluster(name: str) -> str:
    """Return the dotted name of a class of clusters; raises the fault of what is none."""
    if name in _SHORT:
        return _SHORT[name]
    if _CLASS.fullmatch(name):
        return name
    near = nearest(name, _SHORT)
    hint = f'; did you mean "{near}"?' if near else ""
    raise fault(
        'expected "local", "ssh" or the dotted name of a class, such as dask_jobqueue.PBSCluster, found '
        f"{show(name)}{hint}"
    )


def _options(options: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(options)
    except TypeError as error:
        raise fault(f"expected strings, numbers, lists and tables; {error}") from None
    return options


class DaskTable(Table):
    """`[dask]`: either the `address` of a cluster that is there, or a `cluster` to start."""

    address: Address | None = Field(default=None, description='of a scheduler, such as `"tcp://HOST:8786"`')
    cluster: Annotated[Text, AfterValidator(_cluster)] | None = Field(
        default=None, description='cluster to start: `"local"`, `"ssh"` or the dotted name of a class'
    )
    options: Annotated[Anything, AfterValidator(_options)] = Field(
        default_factory=dict, description="arguments of the `cluster`'s class"
    )
    resources: Annotated[dict[str, Positive], table_of("a table")] = Field(
        default_factory=dict, description="resources that a Dask worker must have free for a chunk"
    )

    @model_validator(mode="after")
    def _check(self) -> DaskTable:
        if self.address and self.cluster:
            raise fault(f"{EITHER}, found both")
        if self.model_fields_set and not self.address and not self.cluster:  # an empty table says nothing yet
            raise fault(f"{EITHER}, found neither")
        if self.address and "options" in self.model_fields_set:
            raise fault("`options` are arguments of a `cluster`; an `address` takes none")
        return self
