"""How a Dask cluster that a process of ours has is reached: in a file that only its user can have written or read.

What connects to a scheduler of Dask unpickles what that sends, so an address is not taken from a note. The file is
removed with the cluster; where its process was killed, no one is asked at an address that others may have taken.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pydoit_sc.engines.detach import executes
from pydoit_sc.files import only_mine, write_whole
from pydoit_sc.models import build
from pydoit_sc.private import foreign, own_id
from pydoit_sc.proc import started_at
from pydoit_sc.store.stamps import StoredDocument, read

if TYPE_CHECKING:
    from distributed.deploy.cluster import Cluster

FILE = "dask.access"
PROCESS = "pydoit_sc.engines.dask_cluster"  # the module of the process that has a cluster


class Access(StoredDocument):
    """How a cluster of ours is reached."""

    address: str = Field(description="of the scheduler")
    host: str = Field(description="the machine of the process that has the cluster")
    pid: int = Field(description="that process")
    started: str = Field(description="when that process was started")
    ca: str | None = Field(default=None, description="the certificate that the scheduler's is signed by")
    certificate: str | None = Field(default=None, description="what a client shows of itself")
    key: str | None = Field(default=None, description="the private key of `certificate`")

    @property
    def is_here(self) -> bool:
        """Whether the process is, or was, one of this machine."""
        return self.host == socket.gethostname()

    def is_alive(self, folder: str) -> bool:
        """Return whether the process on this machine that has the cluster of this submission is alive."""
        return started_at(self.pid) == self.started != "" and executes(self.pid, PROCESS, folder)

    def security(self, distributed: Any) -> Any:
        """Return what Dask takes for encryption, None for what Dask's own configuration says."""
        if self.key is None:
            return None
        return distributed.Security(
            require_encryption=True,
            tls_ca_file=self.ca,
            tls_client_cert=self.certificate,
            tls_client_key=self.key,
        )


def access_of(cluster: Cluster) -> Access:
    """Return how a cluster of this process is reached."""
    security = getattr(cluster, "security", None)
    build(Access)
    return Access(
        address=str(cluster.scheduler_address),
        host=socket.gethostname(),
        pid=os.getpid(),
        started=started_at(os.getpid()),
        ca=getattr(security, "tls_ca_file", None),
        certificate=getattr(security, "tls_client_cert", None),
        key=getattr(security, "tls_client_key", None),
    )


def write_access(folder: str, access: Access) -> None:
    """Write how a submission's cluster is reached; raises OSError."""
    write_whole(os.path.join(folder, FILE), access.to_json(), only_mine)


def remove_access(folder: str) -> None:
    """Remove what `write_access` has written."""
    with suppress(OSError):
        os.unlink(os.path.join(folder, FILE))


def read_access(folder: str) -> Access | None:
    """Return how the cluster of a submission is reached; None where there is none, or not by this user."""
    try:
        descriptor = os.open(os.path.join(folder, FILE), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            return None if foreign(os.fstat(descriptor), own_id(folder)) else read(Access, file.read())
    except OSError:
        return None
